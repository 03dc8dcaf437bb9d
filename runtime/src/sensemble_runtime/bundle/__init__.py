"""The bundle: its manifest, the checks of every file, its head, tokenizer and signature.

Only what reads, checks and writes a bundle's folder belongs here. Running its artifacts is for `executors`.

Doors: `bundle` (open and use a bundle), `manifest` (its contents), `manifest_file` (read and write
`manifest.json`), `files` (read one verified file), `head`, `judge` (the answer of a live set),
`tokenize` (for training and export), `tokenizer_fields` (for training), `probe`, `signature`, `strict_json`.
"""
