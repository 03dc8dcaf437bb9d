"""The paths in a run folder (see "The run folder" in `apps/README.md`)."""

CONFIG = "config.json"
MODEL = "pretrained/model.json"
MODELS = "models"
MATRIX = "matrix.json"
SELECTION = "matrix.calibrate.json"  # on the split calibrate; M_T is chosen by it
BUNDLE = "bundle"
AUDIT = "audit.sqlite"
PAGE = "report.html"
TRADE_OFF = "trade-off.{target}.svg"
EVALUATED = "eval"
"""The split for reporting; training and export choose nothing by it."""
