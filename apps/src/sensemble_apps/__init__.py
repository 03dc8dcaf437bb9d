"""The `sensemble` command, from training to running on live sensors; users import nothing from it."""
