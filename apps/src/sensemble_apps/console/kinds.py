"""The words of each kind of modality: the one place in the apps that a new kind is added to."""

from dataclasses import dataclass

from sensemble_sensors.spec import kind_name


@dataclass(frozen=True, slots=True)
class Kind:
    """The words that an app uses for a kind of modality.

    Attributes:
        sensor: its sensor, such as `microphone`.
        loss: the loss of that sensor, as a clause: `the microphone dies`.
        letter: its abbreviation in the names of sets, as in the paper's tables.
        weight: how much accuracy usually depends on it: a larger number for more.
    """

    sensor: str
    loss: str
    letter: str
    weight: int


KINDS = {
    "waveform": Kind("microphone", "the microphone dies", "A", 2),
    "frames": Kind("camera", "the camera dies", "V", 3),
    "text": Kind("captions", "the captions stop", "T", 1),
}
"""The kinds by name, in the order of their letters in the paper's tables: AVT."""


def kind_of(modality: str) -> Kind:
    """Return the kind of `modality`.

    Raises:
        KeyError: there is no such modality.
    """
    return KINDS[kind_name(modality)]
