from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.text import tokenize
from tokenizers import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(bundle_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(bundle_folder / "tokenizer.json"))


def test_short_captions_are_padded_with_zero(tokenizer: Tokenizer) -> None:
    ids = tokenize(tokenizer, "A person says TWO", 6)
    assert ids.dtype == "int64"
    assert ids.tolist() == [[2, 4, 5, 6, 0, 0]]


def test_long_captions_are_cut(tokenizer: Tokenizer) -> None:
    assert tokenize(tokenizer, "one " * 9, 4).tolist() == [[3, 3, 3, 3]]


@given(st.text())
def test_any_caption_fits(tokenizer: Tokenizer, caption: str) -> None:
    assert tokenize(tokenizer, caption, 6).shape == (1, 6)
