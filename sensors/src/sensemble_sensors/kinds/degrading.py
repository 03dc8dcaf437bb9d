"""Streams under conditions, in the form in which the device captures them."""

from collections.abc import Iterable
from functools import reduce

from sensemble_sensors.kinds.conditions.condition import Applied, Degradation
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec


def captured(applied: Iterable[Applied], spec: InputSpec) -> InputSpec:
    """Return the form in which a source should give samples to `begin`; `spec` if nothing degrades them."""
    degraded = any(one.modality == spec.modality for one in applied)
    return kind_of(spec).captured(spec) if degraded else spec


def begin(applied: Iterable[Applied], spec: InputSpec, seed: int = 0) -> Degradation:
    """Return the degradation of a new stream by those of `applied` that are of its modality, in order.

    It takes samples in the form of `captured` or of `spec`, and returns them in that of `spec`.
    """
    kind = kind_of(spec)
    form = kind.captured(spec)
    acts = [one.condition.begin(one.severity, form, seed) for one in applied if one.modality == spec.modality]

    def degrade(sample: Sample) -> Sample:
        fitted = kind.fitted(sample, form)
        return kind.fitted(reduce(lambda given, act: act(given), acts, fitted), spec)

    return degrade if acts else lambda sample: sample
