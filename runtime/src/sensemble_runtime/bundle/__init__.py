"""The bundle: its manifest, the checks of every file, its head, tokenizer and signature.

Enter here what reads, checks and writes a bundle's folder. Running its artifacts is for `executors`.

Doors: `bundle`, `manifest`, `manifest_file`, `files`, `head`, `judge`, `tokenize`, `tokenizer_fields`,
`probe`, `signature`, `strict_json`.
"""
