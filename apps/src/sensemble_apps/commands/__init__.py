"""The commands, a module each: `main(arguments)` runs one. `parsing.COMMANDS` lists them.

A command only applies its arguments; code that two commands share is in another room.

Doors: none.
"""
