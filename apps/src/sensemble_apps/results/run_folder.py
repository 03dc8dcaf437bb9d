"""The paths in a run folder (see `docs/reference/run-folder.md`)."""

CONFIG = "config.json"
MODEL = "pretrained/model.json"
MATRIX = "matrix.json"
SELECTION = "matrix.calibrate.json"  # on the split calibrate; M_T is chosen by it
BUNDLE = "bundle"
AUDIT = "audit.sqlite"
PAGE = "report.html"
COMPARISON = "experiment.html"  # of methods and training sets, where a run has several
SESSION = "session.json"
"""The costs of a replay in real time (`run --summary`)."""
EVALUATED = "eval"
"""The split for reporting; training and export choose nothing by it."""
