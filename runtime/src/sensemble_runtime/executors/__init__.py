"""Executors: one module for each runtime library that runs artifacts.

A new executor is a module with an `Encoder` class and an entry in `executor.EXECUTORS`.

Doors: `executor`, which loads an artifact by its target; it imports the other modules on use.
"""
