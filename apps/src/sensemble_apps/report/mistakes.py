"""The surest mistakes of an audit: where a wrong label, a bad take or a missing class is found first."""

from collections.abc import Mapping

import numpy as np
from sensemble_runtime.auditing.reliability import Answered
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.kinds import as_words
from sensemble_apps.report.shown_example import AnsweredExample, answer_words, shown

_SHOWN = 10


def mistakes(
    answered: Answered, examples: Mapping[str, Example], specs: Mapping[str, InputSpec]
) -> tuple[list[AnsweredExample], int]:
    """Return ten examples that the fullest set answers wrongly, the surest first, and how many there are.

    `examples` by id are shown.
    """
    every = max(answered.sets, key=lambda name: name.count("+"))
    found = answered.sets[every]
    order = np.lexsort((-found.confidences, found.predicted < 0, ~found.sure))
    wrong = [int(found.rows[place]) for place in order if not found.right[place]]
    some = [
        AnsweredExample(
            answered.ids[row],
            " + ".join(map(as_words, answered.truth[row])),
            [f"taken for {answer_words(answered, answered.ids[row], every)}"],
            list(shown(examples[answered.ids[row]], specs)) if answered.ids[row] in examples else [],
        )
        for row in wrong[:_SHOWN]
    ]
    return some, len(wrong)
