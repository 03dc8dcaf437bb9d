"""Files as a stranger, a bad disk or an editor leaves them."""

from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

MANY = settings(
    max_examples=10 * settings().max_examples,
    database=None,
    phases=[Phase.generate],  # a seed is as simple as another
    suppress_health_check=list(HealthCheck),
)
SEEDS = st.integers(0, 2**32)
"""The source of random draws of a mutation."""

# What parsers trip over: numbers beyond every bound, halves of characters, what only Python takes for JSON.
_ODD = (
    *b"Infinity -Infinity NaN 1e300 -1e300 1e999 -1 0 0.5 true null [] {} --> 99999:00:00 99:59:59".split(),
    *(
        b'""',
        b'" "',
        b'"x"',
        b'"\\ud800"',
        b'"../../x"',
        b'"\\u0000"',
        b'"',
        b" ",
        b"\t",
        b"\0",
        b"\n",
        b"\r",
    ),
    *(b"\xff\xfe", b"\r\n\r\n", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"&#" + b"9" * 5000 + b";"),
    *(b"9" * 400, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"<" * 500, b"{\\" * 500),
)


def mutated(whole: bytes, seed: int) -> bytes:
    """Return what becomes of some bytes: some are replaced, by odd ones too, and the end may be cut off."""
    chance = Random(seed)  # noqa: S311 - no secret
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(whole))
        come = chance.choice(_ODD) if chance.random() < 0.5 else chance.randbytes(chance.randint(0, 8))
        whole = whole[:at] + come + whole[at + chance.randint(0, 12) :]
    return whole[: int(len(whole) * chance.choice((1.0, 1.0, 1.0, 0.5, 0.9)))]


def json_mutated(whole: bytes, seed: int) -> bytes:
    """Return the same of lines of JSON, which mostly stay JSON: a value is replaced by an odd one."""
    chance = Random(seed)  # noqa: S311 - no secret
    if chance.random() < 0.4:
        return mutated(whole, seed)
    at = chance.choice([i + 1 for i in range(len(whole)) if whole[i : i + 1] == b":"])
    ends = [end for end in (whole.find(b",", at), whole.find(b"}", at)) if end >= 0]
    return whole[:at] + b" " + chance.choice(_ODD) + whole[min(ends, default=len(whole)) :]


def one_line(error: Exception) -> None:
    """Check that an error is one line that UTF-8 can encode."""
    assert "\n" not in str(error)
    str(error).encode()
