"""Half precision on processors that compute faster in it."""

from contextlib import AbstractContextManager, nullcontext

import torch

_QUICK = torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - torch has no public name for it


def half(device: torch.device) -> AbstractContextManager[None]:
    """Return a context that computes in bfloat16 on a processor that has it; elsewhere it changes nothing."""
    if device.type == "cpu" and _QUICK:
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()
