"""The fields of a `tokenizer.json` that may ask for too much time or memory, and what is allowed in them.

The `tokenizers` library checks none of them: a long stride makes it panic, a large padding takes all memory,
a chain of replacements turns ten letters into gigabytes, and an expression may backtrack for hours, with the
interpreter's lock held. So the allowed steps are listed here: those that `sensemble-train` writes, and the
usual ones of CLIP, GPT-2 and BERT. No step repeats in a sequence: a byte-level one lengthens its own result.
"""

from collections.abc import Iterator, Mapping

CONTROLS = r"[\x00-\x08\x0b\x0e-\x1f\x7f]"  # the control characters that CLIP's tokenizer removes

CLIP_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"  # a word of CLIP's tokenizer

_GPT2_WORD = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_EXPRESSIONS = (CONTROLS, CLIP_WORD, _GPT2_WORD, r"\s+")
_AFFIX = 16  # characters that the model adds to a part of a word
_MARKS = 16  # that a post-processor adds to a caption; CLIP's adds two

_STEPS = {  # by field, its types
    "normalizer": ("NFC", "NFD", "Lowercase", "Replace", "BertNormalizer"),
    "pre_tokenizer": ("ByteLevel", "Whitespace", "WhitespaceSplit", "Split", "BertPreTokenizer"),
    "post_processor": ("ByteLevel", "RobertaProcessing", "TemplateProcessing"),
    "decoder": ("ByteLevel", "Replace", "WordPiece"),
}
_LISTS = {  # by field, what a sequence calls its steps
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}
_MODELS = ("BPE", "WordLevel", "WordPiece")  # others take the square of a word's length
_LONGEST = 100  # characters of a word that WordPiece divides, in such a time


def problems(raw: object, length: int) -> Iterator[str]:
    """Yield `FIELD: problem` for each value of a `tokenizer.json` not allowed with `length` tokens."""
    if not isinstance(raw, dict):
        yield "expected an object"
        return
    yield from _cut_problems(raw.get("truncation"))
    yield from _pad_problems(raw.get("padding"), length)
    yield from _model_problems(raw.get("model"))
    for field in _STEPS:
        yield from _step_problems(field, raw.get(field))


def _model_problems(model: object) -> Iterator[str]:
    if not isinstance(model, dict) or model.get("type") not in _MODELS:
        yield f"model.type: expected {' or '.join(_MODELS)}"
        return
    if model["type"] == "WordPiece" and not _within(model.get("max_input_chars_per_word"), 1, _LONGEST):
        yield f"model.max_input_chars_per_word: expected at most {_LONGEST}"
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        affix = model.get(name)
        if affix is not None and not (isinstance(affix, str) and len(affix) <= _AFFIX):
            yield f"model.{name}: expected at most {_AFFIX} characters"


def _cut_problems(cut: object) -> Iterator[str]:
    if cut is None:
        return
    if not isinstance(cut, dict) or not _within(cut.get("max_length"), 1, 2**31 - 1):
        yield "truncation.max_length: expected at least 1"
    elif not _within(cut.get("stride"), 0, 0):
        yield "truncation.stride: expected 0, for a caption is one window"


def _pad_problems(pad: object, length: int) -> Iterator[str]:
    if pad is None:
        return
    if not isinstance(pad, dict) or not _is_strategy(pad.get("strategy"), length):
        yield f"padding.strategy: expected BatchLongest, or Fixed up to the encoder's length, {length}"
        return
    multiple = pad.get("pad_to_multiple_of")
    if multiple is not None and not _within(multiple, 1, length):
        yield f"padding.pad_to_multiple_of: expected 1 to the encoder's length, {length}"


def _step_problems(field: str, step: object) -> Iterator[str]:
    if step is None:
        return
    steps: object = [step]
    if isinstance(step, dict) and step.get("type") == "Sequence":
        steps = step.get(_LISTS[field])
    if not isinstance(steps, list):
        yield f"{field}.{_LISTS[field]}: expected a list"
        return
    seen = set()
    for one in steps:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind not in _STEPS[field]:
            known = ", ".join(_STEPS[field])
            yield f"{field}.type: expected {known}, or a Sequence of them, got {kind!r:.40}"
            return
        if kind in seen:
            yield f"{field}.type: expected {kind} once, got it twice"
            return
        seen.add(kind)
        if problem := _content_problem(field, one):
            yield problem


def _content_problem(field: str, step: Mapping[str, object]) -> str:
    if step["type"] in ("Replace", "Split"):
        pattern = step.get("pattern")
        found = pattern.get("Regex") if isinstance(pattern, dict) else None
        literal = (
            isinstance(pattern, dict) and pattern.keys() == {"String"} and pattern["String"] not in ("", None)
        )
        if found not in _EXPRESSIONS and not literal:
            return f"{field}.pattern: expected a text, or an expression of CLIP's or GPT-2's tokenizer"
    if step["type"] == "Replace" and step.get("content") not in ("", " "):
        return f"{field}.content: expected nothing or a space, for a replacement must not lengthen a caption"
    if step["type"] == "TemplateProcessing" and not _is_template(step):
        return f"{field}.single: expected the caption once, and at most {_MARKS} marks of one token"
    return ""


def _is_template(step: Mapping[str, object]) -> bool:
    single, marks = step.get("single"), step.get("special_tokens")
    if not isinstance(single, list) or not isinstance(marks, dict) or len(single) > _MARKS + 1:
        return False
    if sum(isinstance(piece, dict) and "Sequence" in piece for piece in single) != 1:
        return False
    ids = [mark.get("ids") if isinstance(mark, dict) else None for mark in marks.values()]
    return all(isinstance(one, list) and len(one) == 1 for one in ids)


def _is_strategy(value: object, length: int) -> bool:
    return value == "BatchLongest" or (isinstance(value, dict) and _within(value.get("Fixed"), 0, length))


def _within(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
