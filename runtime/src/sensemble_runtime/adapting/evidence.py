"""Evidence that may be looked at after every outcome: the wealth of a gambler who bets on the outcomes.

An interval for a fixed number of outcomes is wrong more often than it says if it is looked at again and again
until it agrees. Wealth is not: bet against a hypothesis that holds, and the chance that wealth ever reaches
1 / alpha is at most alpha, at whatever moment one looks (Ville's inequality; Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", 2024).
"""

import numpy as np
from numpy.typing import NDArray

FRACTIONS = np.array([0.1, 0.2, 0.4, 0.8])
"""The shares of the wealth that are bet at once, each with a quarter of it at first: a large effect is found
by the large shares, a small effect by the small ones."""
_MOST = 1e9  # what a wealth is cut at, so that it stays finite for ever


class Wealth:
    """The wealth of a bet that the mean of outcomes in [-1, 1] is above 0; it begins at 1.

    If each outcome's mean, given those before it, is at most 0, the chance that the wealth ever reaches c is
    at most 1 / c.

    Args:
        restarts: never let a share's wealth be below 1 before an outcome, to find a change that comes late
            (a CUSUM, in the words of Shin, Ramdas and Rinaldo an e-detector, 2024). The guarantee is then
            another one: while the mean is at most 0, c is reached after c outcomes or more on average.
        shares: the wealth of each fraction, float64 [4]; None at first.
    """

    def __init__(self, *, restarts: bool = False, shares: NDArray[np.float64] | None = None) -> None:
        self._restarts = restarts
        self.shares = np.ones(len(FRACTIONS)) if shares is None else shares

    @property
    def total(self) -> float:
        """The wealth."""
        return float(self.shares.mean())

    def add(self, outcome: float) -> None:
        """Settle the bets on one outcome, in [-1, 1]."""
        before = np.maximum(self.shares, 1.0) if self._restarts else self.shares
        self.shares = np.minimum(before * (1 + FRACTIONS * outcome), _MOST)
