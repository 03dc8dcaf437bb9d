"""Audits: the score of every subset of modalities with its interval, and the paper's metrics of robustness.

Only measures of predictions belong here, the audit that computes them, and the gate that judges them. The
room is not called `audit`, which is the name of its public function.

Doors: `audit` (score a bundle), `conditions` (while a sensor is degraded), `measures` (all scores of labelled
examples), `scores` (accuracy, mean average precision), `intervals` (their confidence intervals), `gate`
(criteria), `calibration` (what scales logits, and thresholds), `reliability` (what confidence is worth),
`robustness` (P, R, strata).
"""
