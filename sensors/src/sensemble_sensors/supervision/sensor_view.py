"""A sensor at one moment, as outputs show it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SensorView:
    """The state of a sensor at one moment.

    Attributes:
        name: as `Session.attach` returned it.
        device: the device that carries it, with other modalities; empty if none is known.
        state: the kind of its last event (`attached`, `unhealthy`, `lost`, ...); `opening` before the first.
        why: the reason for that state, without the sensor's name; empty if the state says all.
        since: the time of that event, in seconds on the session's clock.
        active: its samples are used.
        standby: another sensor of its modality is active.
        retry_at: the time at which it is opened again; None unless it waits for that.
    """

    modality: str
    name: str
    device: str
    state: str
    why: str
    since: float
    active: bool
    standby: bool
    retry_at: float | None

    def __str__(self) -> str:
        """Write the state in words: `in use`, or `lost: no picture came`."""
        works = self.state in ("attached", "recovered")
        state = "standby" if works and self.standby else "in use" if works and self.active else self.state
        return f"{state}: {self.why}" if self.why else state

    @property
    def attached(self) -> bool:
        """False once it was detached, has ended or failed."""
        return self.state not in ("detached", "ended", "failed")
