"""Lowering: an encoder becomes the files of one executor.

Holds the targets with their schemes, a module that lowers to each, the rewriting that comes first, the
processes that lower, and the cache of their artifacts. The cache hashes each module of this room: what
changes an artifact's bytes belongs here, what measures or ships it does not.

Doors: `targets`, `lowering`, `cache`.
"""
