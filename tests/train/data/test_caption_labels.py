import json
from pathlib import Path

import pytest
from sensemble_runtime.auditing.intervals import wilson
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.data.caption_labels import names_label, share_naming, some_captions

TABLE_4 = {  # the paper's, with what a reader sees of the labels in the text
    "Lps: More Than That [7] (Season 3 Finale Part 1) Christmas Special": (
        ("Brass instrument", "Clarinet"),
        False,
    ),
    "Muzik tipiko di Korsou/ Traditional Curacao music": (("Flamenco", "Music", "Mandolin"), True),
    "Tie Down Roping - 2013 NFR Round 8": (("Bang",), False),
    "COUPLES YOGA CHALLENGE": (("Music", "Speech", "Breathing"), False),
    "Fill Your Bucket - Children's Song by The Learning Station": (("Jingle (music)", "Music"), False),
    "Klakson, który zwala z nóg": (("Vehicle", "Vehicle horn, car horn, honking", "Speech"), False),
    "A Cappella Pitch Perfect Mashup": (("Singing", "Music", "Choir", "Vocal music", "A capella"), False),
    "Weird Or What? - The Bloop - World Mysteries": (("Music", "Rumble", "Speech"), False),
}


@pytest.mark.parametrize("text", TABLE_4)
def test_what_the_paper_shows(text: str) -> None:
    labels, named = TABLE_4[text]
    assert names_label(text, labels) == named


@pytest.mark.parametrize(
    ("text", "label", "named"),
    [
        ("A CAR HORN at night", "Vehicle horn, car horn, honking", True),
        ("a horn in a car", "Vehicle horn, car horn, honking", False),
        ("the best jingle", "Jingle (music)", True),
        ("carhorn", "car horn", False),
        ("six o'clock", "six", True),
        ("sixty", "six", False),
        ("STRASSE", "straße", True),
        ("", "six", False),
        ("six", "()", False),
    ],
)
def test_whole_words_in_any_case(text: str, label: str, named: bool) -> None:
    assert names_label(text, [label]) == named


def test_the_share_has_an_interval_and_counts_captions_with_labels_alone(tmp_path: Path) -> None:
    texts = ["a cat", "the dog", None, "cat and dog", "nothing"]
    lines = [
        {"id": f"e{i}", "split": "eval", "labels": ["cat"], "audio": "a.wav", **({"text": t} if t else {})}
        for i, t in enumerate(texts)
    ]
    lines.append({"id": "p", "split": "pretrain", "text": "a cat"})
    (tmp_path / "a.wav").touch()
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    dataset = read_dataset(tmp_path)
    found = share_naming(dataset.split("eval"))
    assert found is not None
    assert (found.accuracy, found.n, (found.low, found.high)) == (0.5, 4, pytest.approx(wilson(2, 4)))
    assert share_naming(dataset.split("pretrain")) is None
    assert sorted(some_captions(dataset.examples)) == sorted((t, ("cat",)) for t in texts if t)
    assert some_captions(dataset.examples, 2) == some_captions(dataset.examples, 2)
