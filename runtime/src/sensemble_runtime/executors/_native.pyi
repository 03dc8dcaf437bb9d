from mmap import mmap
from typing import Literal

import numpy as np
from numpy.typing import NDArray

class Module:
    def __init__(self, program: bytes | mmap, threads: int = 0, insist: bool = True) -> None: ...
    def __call__(
        self, window: NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.int64]
    ) -> NDArray[np.float32]: ...
    @property
    def input(self) -> tuple[Literal["float32", "int64", "uint8"], tuple[int, ...]]: ...
    @property
    def output(self) -> tuple[int, ...]: ...
    @property
    def unneeded(self) -> list[tuple[int, int]]: ...
