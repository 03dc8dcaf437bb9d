"""Random changes of captions: words that were not heard, and typing errors."""

import torch
from sensemble_runtime.bundle.tokenize import tokenize
from tokenizers import Tokenizer
from torch import Tensor

from sensemble_train.models.augment_config import AugmentConfig

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def change_captions(ids: Tensor, config: AugmentConfig, tokenizer: Tokenizer) -> Tensor:
    """Return captions int64 [B, L] with words dropped (one stays) and misspelt as `config` says."""
    length = ids.shape[1]
    captions = tokenizer.decode_batch(ids.tolist(), skip_special_tokens=True)
    draws = torch.rand(len(captions), length, 4).tolist()
    changed = []
    for caption, chances in zip(captions, draws, strict=True):
        words = [(word, *chance) for word, chance in zip(caption.split(), chances, strict=False)]
        kept = [each for each in words if each[1] >= config.drop] or words[:1]
        changed.append(
            " ".join(
                misspelt(word, how, where) if typo < config.typos else word
                for word, _, typo, how, where in kept
            )
        )
    rows = [torch.from_numpy(tokenize(tokenizer, caption, length)) for caption in changed]
    return torch.cat(rows).to(ids.device)


def misspelt(word: str, how: float, where: float) -> str:
    """Return `word` with one typing error, of a sort `how` at a place `where`, both from 0 to 1."""
    place = int(where * len(word))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    if how < 0.25 and after:
        return before + after[0] + letter + after[1:]
    if how < 0.5 and len(word) > 1:
        return before + after
    if how < 0.75:
        return before + 2 * letter + after
    return before + _LETTERS[int(how * 1e6) % len(_LETTERS)] + after
