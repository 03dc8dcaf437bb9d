"""Conditions: stated degradations of a sensor's samples, in five severities each, as in ImageNet-C.

A module holds the conditions of one kind, in one table with their amounts. A condition acts on a stream of
samples, live or in an audit. It is causal, seeded, and does not depend on how a stream is cut into samples.

Source: Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", 2019.

Doors: `condition` (the interface); each kind lists its own (`Kind.conditions`).
"""
