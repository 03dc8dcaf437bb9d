"""Measuring: make and measure the artifacts of encoders, and fit how sure a bundle's answers may be.

Holds the store that makes and measures each artifact once, the process that runs an artifact without torch,
parity, the calibration and the familiarity that are fitted to embeddings, and the
examples and near windows for all of them. It writes no bundle.

Doors: `artifact_store`, `parity`, `calibration`, `familiarity`, `near`, `examples`.
"""
