"""The embedded dataset: a handwritten digit seen, the same digit spoken, and a noisy caption of it."""
