"""The bundle: its manifest, the checks of every file, its head, tokenizer and signature.

Holds what reads, checks and writes a bundle's folder; `executors` runs its artifacts.

Doors: `bundle`, `manifest`, `manifest_file`, `files`, `head`, `classifier`, `tokenize`, `tokenizer_fields`,
`probe`, `signature`.
"""
