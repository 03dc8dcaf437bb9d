"""Auditing: the score of every subset of modalities with its interval, and the paper's metrics of robustness.

Holds measures of predictions, the audit that computes them, and the gate that judges them. The room is not
called `audit`, which is the name of its public function.

Doors: `answers`, `audit`, `comparison`, `conditions`, `measures`, `metrics`, `intervals`, `gate`,
`calibration`, `recorded`, `reliability`, `robustness`, `unknown`; of sparing `sparing_audit`, `sparing_fit`;
of streams `moment_measures`, `stream_audit`, `stream_comparison`, `stream_gate`, `stream_windows`,
`timeline_fit`.
"""
