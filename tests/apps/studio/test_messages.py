"""The states of the studio that a viewer is sent."""

from types import SimpleNamespace
from typing import Any

from sensemble_apps.studio.api import states


def test_a_training_that_ends_while_a_state_is_made_is_in_the_next_one() -> None:
    """The page got the project with the older training, and never offered to go on with it."""

    class Job:
        status = "running"

        def snapshot(self) -> str:
            before, self.status = self.status, "cancelled"
            studio.summary, studio.version = "after", studio.version + (before == "running")
            return before

    studio: Any = SimpleNamespace(
        sensors=SimpleNamespace(describe=lambda _: []),
        began=0.0,
        recorder=SimpleNamespace(progress=None),
        failure="",
        job=Job(),
        live=SimpleNamespace(session=None),
        summary="before",
        version=0,
    )
    sent = states(studio)
    first, second = next(sent), next(sent)
    assert (first["project"], first["training"]) == ("before", "running")
    assert (second["project"], second["training"]) == ("after", "cancelled")
