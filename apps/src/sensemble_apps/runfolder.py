"""Where things lie in a run folder (README.md, "The run folder")."""

from pathlib import Path

from sensemble_runtime.history import read_runs
from sensemble_runtime.records import fingerprint

CONFIG = "config.json"
MODEL = "pretrained/model.json"
MODELS = "models"
MATRIX = "matrix.json"
BUNDLE = "bundle"
AUDIT = "audit.sqlite"
PAGE = "report.html"
TRADE_OFF = "trade-off.{target}.svg"


def audited(run: Path) -> dict[str, tuple[float, int]]:
    """Return (score, examples) by subset of the last complete audit of the bundle that is there, if any."""
    if not (run / AUDIT).exists() or not (run / BUNDLE).exists():
        return {}
    bundle = fingerprint(run / BUNDLE)
    audits = [r for r in read_runs(run / AUDIT) if r.kind == "audit" and r.bundle == bundle and r.ended]
    return {name: (score.accuracy, score.n) for name, score in audits[-1].scores.items()} if audits else {}
