"""The commands, a module each: `main(arguments)` of `train_matrix` runs `sensemble train matrix`.

`parsing.COMMANDS` lists them. A command only applies its arguments; code that two share is in another room.

Doors: none.
"""
