"""Executors: one module for each runtime library that runs artifacts.

A new executor is a module with an `Encoder` class and an entry in `executor.EXECUTORS`, or a package
with an entry point of the group `sensemble.executors`.

Doors: `executor`.
"""
