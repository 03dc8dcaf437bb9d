"""The commands, a module each: `main(arguments)` runs one. `cli` finds them by `command_table`."""
