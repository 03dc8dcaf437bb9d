"""CLIP's tokenizer, built from the merges that OpenAI publishes (`bpe_simple_vocab_16e6.txt.gz`)."""

import gzip
from pathlib import Path

from sensemble_runtime.bundle.tokenizer_fields import CLIP_WORD, CONTROLS
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from sensemble_train.errors import CheckpointError

START, END = "<|startoftext|>", "<|endoftext|>"
_VOCABULARY = 49408
_MERGES = _VOCABULARY - 2 * 256 - 2  # bytes have two ids each: within and at the end of a word


def clip_tokenizer(merges: Path, length: int) -> Tokenizer:
    """Build CLIP's tokenizer: lower case, byte-level BPE, each caption between two marks.

    Unlike CLIP's own, it repairs no broken encodings and resolves no HTML entities, and marks that a caption
    spells out are ordinary words. `length` counts both marks (CLIP: 77; paper, Table 6: 60). Raises
    CheckpointError if the file does not hold CLIP's merges.
    """
    try:
        data = merges.read_bytes()
        lines = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8").split("\n")
        pairs = [(first, second) for first, second in (line.split() for line in lines[1 : _MERGES + 1])]
    except (OSError, EOFError, ValueError) as error:
        raise CheckpointError(f"{merges}: no merges of CLIP ({error}); take {_FILE}") from error
    if len(pairs) != _MERGES:
        raise CheckpointError(f"{merges}: {len(pairs)} merges, CLIP has {_MERGES}; take {_FILE}")
    letters = _alphabet()
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs), START, END]
    ids = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(ids, pairs, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(CONTROLS), ""), normalizers.NFC(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    marks = [(START, ids[START]), (END, ids[END])]
    tokenizer.post_processor = processors.TemplateProcessing(f"{START} $A {END}", special_tokens=marks)
    tokenizer.enable_truncation(length)
    return tokenizer


_FILE = "bpe_simple_vocab_16e6.txt.gz of OpenAI's repository CLIP"


def _alphabet() -> list[str]:
    """Return the letter that stands for each byte, in CLIP's order: printable ones first, as themselves."""
    printable = [chr(byte) for byte in (*range(33, 127), *range(161, 173), *range(174, 256))]
    return printable + [chr(256 + i) for i in range(256 - len(printable))]
