import json
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.bundle.tokenize import check_tokenizer, load_tokenizer, tokenize
from sensemble_runtime.bundle.tokenizer_fields import CLIP_WORD
from sensemble_runtime.errors import BundleCorruptError, EncoderError
from sensemble_sensors.sensor import MAX_CAPTION
from tokenizers import Tokenizer

PATH = Path("tokenizer.json")


@pytest.fixture(scope="module")
def tokenizer(bundle_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(bundle_folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("caption", "ids"),
    [
        ("A person says TWO", [2, 4, 5, 6, 0, 0]),
        ("one " * 9, [3] * 6),
        (" " * (MAX_CAPTION - 3) + "one two", [3, 0, 0, 0, 0, 0]),
    ],
    ids=["padded", "cut", "without end"],
)
def test_captions_are_padded_and_cut(tokenizer: Tokenizer, caption: str, ids: list[int]) -> None:
    found = tokenize(tokenizer, caption, 6)
    assert (found.dtype, found.tolist()) == ("int64", [ids])


@given(st.text())
def test_any_caption_fits(tokenizer: Tokenizer, caption: str) -> None:
    assert tokenize(tokenizer, caption, 6).shape == (1, 6)


CUT = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
PAD = {
    "strategy": {"Fixed": 6},
    "direction": "Right",
    "pad_to_multiple_of": 2,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "[PAD]",
}


TENFOLD = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}
BACKTRACKING = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
MARK, CAPTION = {"SpecialToken": {"id": "<e>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}


def template(*single: object, ids: object = (1,)) -> dict[str, object]:
    """A post-processor of these pieces."""
    mark = {"id": "<e>", "ids": ids, "tokens": ["<e>"]}
    return {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {"<e>": mark}}


def changed(bundle_folder: Path, **fields: object) -> bytes:
    raw = json.loads((bundle_folder / "tokenizer.json").read_text(encoding="utf-8"))
    return json.dumps(raw | fields).encode()


def test_a_tokenizer_that_cuts_and_pads_is_taken(bundle_folder: Path) -> None:
    data = changed(bundle_folder, truncation=CUT, padding=PAD)
    check_tokenizer(data, 6, PATH)
    assert tokenize(load_tokenizer(data, PATH), "one " * 9, 6).tolist() == [[3, 3, 3, 3, 3, 0]]
    check_tokenizer(changed(bundle_folder, padding=PAD | {"strategy": "BatchLongest"}), 6, PATH)


@pytest.mark.parametrize(
    ("fields", "reported"),
    [
        ({"truncation": CUT | {"stride": 2}}, "truncation.stride: expected 0"),
        ({"truncation": CUT | {"max_length": 0}}, "truncation.max_length: expected"),
        ({"truncation": 5}, "truncation.max_length: expected"),
        ({"padding": PAD | {"strategy": {"Fixed": 7}}}, "padding.strategy: expected"),
        ({"padding": PAD | {"strategy": None}}, "padding.strategy: expected"),
        ({"padding": "much"}, "padding.strategy: expected"),
        ({"padding": PAD | {"pad_to_multiple_of": 0}}, "padding.pad_to_multiple_of: expected 1 to the"),
        ({"normalizer": TENFOLD}, "normalizer.content: expected nothing or a space"),
        ({"normalizer": {"type": "Sequence", "normalizers": [TENFOLD] * 8}}, "normalizer.content: expected"),
        ({"normalizer": {"type": "Prepend", "prepend": "a"}}, "normalizer.type: expected NFC, .*'Prepend'"),
        ({"normalizer": {"type": "Sequence", "normalizers": 5}}, "normalizer.normalizers: expected a list"),
        ({"normalizer": TENFOLD | {"pattern": {"String": ""}, "content": " "}}, "normalizer.pattern: exp"),
        ({"normalizer": [5]}, "normalizer.type: expected NFC"),
        ({"pre_tokenizer": BACKTRACKING}, "pre_tokenizer.pattern: expected a text, or an expression of"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTES] * 2}}, "expected ByteLevel once"),
        ({"post_processor": template(*[CAPTION] * 9)}, "post_processor.single: expected the caption once"),
        ({"post_processor": template(CAPTION, *[MARK] * 17)}, "post_processor.single: expected the caption"),
        ({"post_processor": template(CAPTION, MARK, ids=[1] * 9)}, "post_processor.single: expected the"),
        ({"decoder": {"type": "Strip", "content": "a", "start": 0, "stop": 0}}, "decoder.type: expected"),
        ({"model": {"type": "Unigram", "vocab": []}}, "model.type: expected BPE or WordLevel or WordPiece"),
        ({"model": {"type": "WordPiece", "max_input_chars_per_word": 101}}, "model.max_input_chars_per_w"),
        ({"model": {"type": "BPE", "continuing_subword_prefix": "a" * 17}}, "model.continuing_subword_pr"),
    ],
)
def test_a_tokenizer_that_cannot_cut_or_pad_so_is_refused(
    bundle_folder: Path, fields: dict[str, object], reported: str
) -> None:
    with pytest.raises(BundleCorruptError, match=rf"tokenizer\.json: .*{reported}"):
        check_tokenizer(changed(bundle_folder, **fields), 6, PATH)


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b'{"a": 1, "a": 2}', b"[" * 100_000])
def test_what_is_no_tokenizer_is_refused(data: bytes) -> None:
    with pytest.raises(BundleCorruptError, match=r"tokenizer\.json: not a tokenizer"):
        check_tokenizer(data, 6, PATH)


def test_the_steps_of_clip_and_gpt2_are_taken(bundle_folder: Path) -> None:
    data = changed(
        bundle_folder,
        normalizer={
            "type": "Sequence",
            "normalizers": [
                {"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
                {"type": "Lowercase"},
            ],
        },
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": CLIP_WORD}, "behavior": "Removed", "invert": True},
                BYTES | {"use_regex": False, "add_prefix_space": False},
            ],
        },
        post_processor=template(MARK, CAPTION, MARK),
        decoder={"type": "Sequence", "decoders": [BYTES, TENFOLD | {"content": " "}]},
    )
    check_tokenizer(data, 6, PATH)
    assert tokenize(load_tokenizer(data, PATH), "ONE  two", 6).tolist() == [[1, 3, 6, 1, 0, 0]]


def test_the_steps_of_bert_are_taken(bundle_folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "one", "##s"]
    data = changed(
        bundle_folder,
        normalizer={
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
        post_processor=None,
        model={
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {word: i for i, word in enumerate(words)},
        },
    )
    check_tokenizer(data, 6, PATH)
    assert tokenize(load_tokenizer(data, PATH), "ONES, one", 6).tolist() == [[4, 5, 1, 4, 0, 0]]


def test_a_panic_of_the_library_is_an_encoder_s_error(bundle_folder: Path) -> None:
    unchecked = load_tokenizer(changed(bundle_folder, truncation=CUT | {"stride": 5}), PATH)
    with pytest.raises(EncoderError, match=r"the tokenizer failed .*stride"):
        tokenize(unchecked, "one " * 9, 6)


def test_ctrl_c_while_it_tokenizes_is_ctrl_c() -> None:
    class Slow:
        def encode(self, _: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokenize(cast("Tokenizer", Slow()), "one", 6)
