"""Access to the studio: who is refused, and what is bounded."""

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from tests.waiting import PATIENCE

from .studying import Studying, studying

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studying]:
    """A studio of an empty project without sensors."""
    with studying(tmp_path_factory.mktemp("studio") / "project") as served:
        yield served


@pytest.mark.parametrize("action", ["add_classes", "remove_class", "rename_class", "unplug", "record"])
def test_what_cannot_be_printed_or_counted_with_is_refused_in_a_line(empty: Studying, action: str) -> None:
    given = {
        "names": "\ud800", "name": "\ud800", "new": "a", "sensor": "\ud800", "class": "\ud800", "seconds": 1,
    }  # fmt: skip
    assert "expected a string" in empty.act(action, **given)
    assert "expected a number" in empty.act("record", seconds=10**400)
    with empty.socket() as socket:
        socket.send(json.dumps({"type": action, **given}))
        while (message := json.loads(socket.recv(PATIENCE)))["type"] != "refused":
            pass
        assert "expected a string" in message["reason"]
    assert len(empty.act("unplug", sensor="x" * 60000)) < 200
    assert empty.ask("/api/takes/" + "9" * 5000)[0] == 404


@pytest.mark.parametrize("number", [None, 1.5, True, "1", 10**30, -1])
def test_a_number_that_no_take_or_run_has_is_refused(empty: Studying, number: object) -> None:
    assert empty.act("delete_take", number=number)
    assert empty.act("open_live", run=number)
    if number is not None:
        assert empty.act("train", run=number)


def test_an_unknown_action_and_a_file_outside_are_not_found(empty: Studying) -> None:
    assert empty.ask("/api/format", "POST", {})[0] == 404
    for path in ("/../studio.py", "/%2e%2e/studio.py", "/live/../studio.json", "/studio.json"):
        assert empty.ask(path)[0] in (303, 404)


def test_without_a_model_the_live_page_leads_to_the_studio(empty: Studying) -> None:
    assert empty.ask("/live/")[0] == 303
    with pytest.raises(InvalidStatus), empty.socket("/live/socket"):
        pass
