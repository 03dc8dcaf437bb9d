"""Data: examples as tensors, and the order of batches.

A source (`clips.Source`) yields batches. It is in memory (`clips.Clips`) or on disk (`experiments.streamed`).

Doors: `embedding_cache`, `clips`, `near`, `batching`, `trainable`.
"""
