"""Audits: the score of every subset of modalities, and the paper's metrics of robustness.

Only measures of predictions belong here, and the audit that computes them. The room is not called `audit`,
which is the name of its public function.

Doors: `audit` (score a bundle), `conditions` (while a sensor is degraded), `scores` (accuracy, mean average
precision), `intervals` (their confidence intervals), `calibration` (fitting temperatures and
thresholds), `reliability` (what confidence is worth), `robustness` (P, R, strata).
"""
