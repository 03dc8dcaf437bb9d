"""Outputs to other programs: each module opens one (`running.outputs`), and needs an extra.

Doors: `mqtt` and `rerun_file`.
"""
