"""Where things lie in a run folder (README.md, "The run folder")."""

CONFIG = "config.json"
MODELS = "models"
MATRIX = "matrix.json"
BUNDLE = "bundle"
AUDIT = "audit.sqlite"
PAGE = "report.html"
