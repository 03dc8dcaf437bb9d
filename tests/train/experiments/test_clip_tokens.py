"""The tokenizer built from CLIP's merges gives open_clip's ids."""

import gzip
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sensemble_runtime.bundle.tokenize import check_tokenizer, tokenize
from sensemble_train.errors import CheckpointError
from sensemble_train.experiments.openai_clip import END, clip_tokenizer
from tokenizers import Tokenizer

from tests.train.openai_clip import MERGES, open_clip

THEIRS = open_clip("tokenizer")
ORACLE = THEIRS.SimpleTokenizer()
OURS = clip_tokenizer(MERGES, 77)

ASSIGNED = st.characters(exclude_categories=("Cs", "Cn", "Co"))  # of others, Unicode says nothing
WORDS = st.sampled_from(
    ["dog", "A", "photo's", "WE'LL", "1984", "naïve", "Straße", "犬", "🎸", "...", "!", "don't"]
)


@settings(max_examples=300)
@given(st.one_of(st.text(ASSIGNED), st.lists(WORDS, max_size=90).map(" ".join)))
@example("")
@example("Muzik tipiko di Korsou/ Traditional Curacao music")
@example("Klakson, który zwala z nóg")
@example("  Two\tspaces\n and a very-hyphenated_word ''s 't's  ")
def test_gives_open_clips_ids(text: str) -> None:
    # Repairing encodings and entities cannot be part of a tokenizer.json, so both are left out.
    assume(THEIRS.basic_clean(text) == text.strip())
    assert tokenize(OURS, text, 77)[0].tolist() == ORACLE(text)[0].tolist()


def test_a_long_caption_keeps_its_end_and_survives_the_file(tmp_path: Path) -> None:
    short = clip_tokenizer(MERGES, 60)
    short.save(str(tmp_path / "tokenizer.json"))
    check_tokenizer((tmp_path / "tokenizer.json").read_bytes(), 60, tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    long = "a dog barks " * 40
    assert tokenize(again, long, 60)[0].tolist() == ORACLE(long, context_length=60)[0].tolist()
    assert "a dog , barking !" in OURS.decode(OURS.encode("A dog, barking!").ids)


def test_a_mark_in_a_caption_is_only_words() -> None:
    ids = OURS.encode(f"a {END} b").ids
    assert ids.count(49407) == 1
    assert ids[-1] == 49407


def test_other_files_are_refused(tmp_path: Path) -> None:
    lines = gzip.decompress(MERGES.read_bytes())
    for data in (b"", b"a b\n" * 10, lines[:100_000], b"\x1f\x8bnoise", b"\xff" * 100):
        (tmp_path / "merges.txt").write_bytes(data)
        with pytest.raises(CheckpointError, match=r"bpe_simple_vocab_16e6"):
            clip_tokenizer(tmp_path / "merges.txt", 77)
    with pytest.raises(CheckpointError, match="missing"):
        clip_tokenizer(tmp_path / "missing", 77)
