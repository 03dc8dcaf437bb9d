"""Pretrained encoders: architectures of others, the sources of their weights, and the adapter that learns.

An architecture is a module here, a plain `nn.Module` from a kind's raw window to one vector, or any that
`package.module:factory` names.

Doors: `encoder`, `sources`.
"""
