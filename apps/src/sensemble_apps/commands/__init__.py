"""The commands: `main(arguments)` of `train_matrix` runs `sensemble train matrix`, `data.show` `data show`.

`parsing.COMMANDS` lists them. A command applies its arguments, and may call another: `demo` calls four.

Doors: none.
"""
