"""Transform series by MiniRocket, in an environment of its own: `field.py` runs it.

    uv run --no-project --with aeon==1.6.0 python apps/benchmarks/minirocket.py WINDOWS FEATURES

WINDOWS is an npz of `known` and `asked`, float32 [N, T, C]; FEATURES gets an npz of the same names, float32
[N, 3948] (Dempster et al., KDD 2021; 4,000 kernels). The kernels' biases are fitted to `known`.
"""

import sys

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket


def main(windows: str, features: str) -> None:
    given = {name: rows.transpose(0, 2, 1) for name, rows in np.load(windows).items()}
    rocket = MiniRocket(n_kernels=4000, random_state=0).fit(given["known"])
    np.savez(features, **{name: rocket.transform(rows).astype(np.float32) for name, rows in given.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
