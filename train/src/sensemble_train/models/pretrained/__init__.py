"""Pretrained encoders: architectures of others, where their weights come from, and the adapter that learns.

An architecture is one module, a plain `nn.Module` from a kind's raw window to one vector; anything else that
does that is welcome by `package.module:factory`.

Doors: `encoder`, `sources`.
"""
