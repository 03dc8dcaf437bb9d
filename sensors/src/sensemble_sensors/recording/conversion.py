"""Bring the samples of a recording to the form that a bundle takes, as media files are brought to it."""

from collections.abc import Iterator, Mapping

from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.recording.header import Form
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec


class Conversion:
    """Converts each sample to the form of its modality's spec; one that has it stays as it is.

    Args:
        specs: the input of each encoder.
    """

    def __init__(self, specs: Mapping[str, InputSpec]) -> None:
        self._converters = {modality: kind_of(modality).converter(spec) for modality, spec in specs.items()}

    def convert(self, sample: Sample, form: Form) -> Iterator[Sample]:
        """Yield a sample in its spec's form, after the rest of its stream before a cut.

        Args:
            sample: of a modality that `specs` has.
            form: of the segment that it is from.
        """
        yield from self._converters[sample.modality].convert(sample, form.get(sample.modality, ()))

    def rest(self) -> Iterator[Sample]:
        """Yield the samples that wait for more of their stream."""
        for converter in self._converters.values():
            yield from converter.rest()
