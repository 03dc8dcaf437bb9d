"""One of two audits that are compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.auditing.reliability import Answered
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.scores import ConditionScore


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Attributes:
        title: its path, as it was given.
        bundle: the SHA-256 of its manifest.
        data: the words for the data that it was audited on.
        metric: of its measures.
        manifest: None of a bare record.
    """

    title: str
    bundle: str
    data: str
    answered: Answered
    measures: Measures
    metric: str
    conditions: Sequence[ConditionScore] = ()
    manifest: Manifest | None = None

    def to_json(self) -> dict[str, str]:
        """Return its names for `json.dumps`."""
        return {"title": self.title, "bundle": self.bundle, "data": self.data}
