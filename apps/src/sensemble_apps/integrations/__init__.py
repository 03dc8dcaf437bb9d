"""Outputs to other programs: each module opens one (`running.outputs`), and needs an extra.

Doors: `heartbeats`, `mqtt`, `otlp` and `rerun_file`.
"""
