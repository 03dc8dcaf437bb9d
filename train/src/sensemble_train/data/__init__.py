"""Data: examples as tensors, and the order of batches.

A `clips.ClipSource` yields batches. It is in memory (`clips.Clips`) or on disk (`experiments.streamed`).

Doors: `embedding_cache`, `clips`, `batching`, `trainable`.
"""
