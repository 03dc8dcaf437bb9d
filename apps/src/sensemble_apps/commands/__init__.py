"""One module a command: `main(arguments)` does it; `sensemble_apps.cli` words what goes wrong."""
