"""The commands, a module each: `main(arguments)` runs one. `parsing.COMMANDS` lists them.

Only what a command does with its arguments belongs here; what two commands share is in another room.

Doors: none.
"""
