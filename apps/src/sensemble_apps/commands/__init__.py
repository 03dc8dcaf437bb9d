"""The commands, a module each: `main(arguments)` runs one. `cli` finds them by `command_table`.

Only what a command does with its arguments belongs here; what two commands share is in another room.

Doors: none.
"""
