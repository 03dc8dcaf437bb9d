import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.errors import SubsetError
from sensemble_runtime.subsets import name, parse, subsets
from sensemble_sensors.spec import RESERVED

words = st.text("abcdefghij", min_size=1, max_size=5).filter(lambda word: word not in RESERVED)


def test_three_modalities_give_seven_subsets_by_size() -> None:
    names = [name(subset) for subset in subsets(["video", "text", "audio"])]
    assert names == ["audio", "text", "video", "audio+text", "audio+video", "text+video", "audio+text+video"]


@given(st.sets(words, min_size=1, max_size=6))
def test_subsets_are_all_distinct_and_not_empty(modalities: set[str]) -> None:
    found = subsets(modalities)
    assert len(set(found)) == len(found) == 2 ** len(modalities) - 1
    assert all(subset and set(subset) <= modalities for subset in found)


@given(st.lists(words, min_size=1, unique=True))
def test_a_written_set_reads_back_in_any_order(modalities: list[str]) -> None:
    assert parse(name(modalities)) == parse("+".join(modalities)) == tuple(sorted(modalities))


@pytest.mark.parametrize("text", ["", "+", "audio+", "audio+audio", "Audio", "audio video", "audio,video"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SubsetError, match="not a set of modalities"):
        parse(text)
