"""Where things lie in a run folder (README.md, "The run folder")."""

CONFIG = "config.json"
MODEL = "pretrained/model.json"
MODELS = "models"
MATRIX = "matrix.json"
SELECTION = "matrix.calibrate.json"  # of the split calibrate, by which M_T is chosen
BUNDLE = "bundle"
AUDIT = "audit.sqlite"
PAGE = "report.html"
TRADE_OFF = "trade-off.{target}.svg"
EVALUATED = "eval"
"""The split for reporting; training and export choose nothing by it."""
