"""The live set: the windows of the attached modalities, their newest embeddings, and predictions from them.

Times are given, so equal input gives equal predictions. For one thread at a time.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import SampleError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.windows import Window, WindowRing
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.events import Event

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.answer import UNFAMILIAR, Answers, against_none, answer_now, honest, opinion
from sensemble_runtime.engine.belief import Belief
from sensemble_runtime.engine.debounce import Debounced
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.sparing import prefixes
from sensemble_runtime.engine.timeline import Happening, Timeline
from sensemble_runtime.pooling import pool
from sensemble_runtime.prediction import Prediction

_UNLIKE = "it is unlike what the encoder was trained on"
_NOTHING = Answers(np.zeros((1, 1), np.float32), np.array([UNFAMILIAR], np.int8), 1.0)
_ALONE = "it contradicts the others, which agree"


@dataclass(frozen=True, slots=True)
class PoppedWindow:
    """A window of the named sensor on its way from its ring to its encoder."""

    modality: str
    sensor: str
    window: Window
    ring: WindowRing


@dataclass(frozen=True, slots=True)
class WindowEmbedding:
    """A window of the named sensor, encoded."""

    modality: str
    sensor: str
    embedding: NDArray[np.float32]  # [d]
    time: float  # the end of the window, in seconds
    latency: float  # seconds that encoding took
    ring: WindowRing
    skipped: bool  # the embedding is that of an earlier, similar window
    level: float | None  # the loudness or brightness of the window, as its kind measures it


class Teaching(Protocol):
    """A way in which the sensors of a session teach each other: an `Adapter`."""

    def correct(self, newest: Mapping[str, WindowEmbedding]) -> dict[str, NDArray[np.float32]]:
        """Return the corrected embeddings of the newest windows whose sensor's correction is in use."""

    def learn(
        self,
        fresh: Collection[str],
        newest: Mapping[str, WindowEmbedding],
        now: float,
        suspects: Collection[str] = (),
    ) -> None:
        """Note lessons of the newest windows of the others for the new ones of `fresh` modalities."""

    def label(self, label: str, newest: Mapping[str, WindowEmbedding], now: float) -> None:
        """Note that each newest window shows `label`."""

    def pop_events(self) -> list[Event]:
        """Return the changes since the last call."""


class LiveSet:
    """The attached modalities of a bundle, and the live ones; uses the bundle's head alone."""

    def __init__(self, bundle: Bundle, policy: Policy | None = None, adapter: Teaching | None = None) -> None:
        self._adapter = adapter
        self.bundle = bundle
        self._policy = policy or Policy()
        self._skipped: dict[str, int] = {}
        self._unfamiliar, self._suspected = Debounced(), Debounced()
        self._begin()
        self.windows: dict[str, WindowRing] = {}  # of the attached modalities
        self.steps: tuple[Answers, ...] = ()  # the newest answers of the first places alone (`prefixes`)
        self._happened: list[Happening] = []
        self._embeddings: dict[str, WindowEmbedding] = {}
        self._sensors: dict[str, str] = {}  # by modality, the name of the sensor that gives its samples

    def _begin(self) -> None:
        self._belief = Belief(self.bundle.modalities, self.bundle.classifier.devices)
        known = self.bundle.classifier
        self._timeline = Timeline(known.timeline, known.labels) if known.task == "multi-class" else None
        sparing = self.bundle.manifest.calibration.sparing if self._policy.sparing else None
        self._classifier = known.sure_from(sparing.threshold) if sparing else known
        self._prefixes = prefixes(sparing.order) if sparing else []

    def replace_head(self, bundle: Bundle, now: float) -> None:
        """Answer with a bundle of the same encoders; forget what the old head said, and end what goes on."""
        self.finish(now)
        self.bundle = bundle
        self._begin()

    def finish(self, now: float) -> None:
        """End what goes on: no more answers come."""
        self._happened += self._timeline.end(now) if self._timeline else ()

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that were added, sorted."""
        return tuple(sorted(self.windows))

    @property
    def ready(self) -> tuple[str, ...]:
        """The modalities with a window to encode, sorted."""
        return tuple(sorted(modality for modality, ring in self.windows.items() if ring.ready))

    def add(self, modality: str, sensor: str = "") -> None:
        """Accept samples of the named sensor of `modality`; trust a new one."""
        if self._sensors.get(modality, sensor) != sensor:
            self._suspected.forget(modality)
            self._belief.forget(modality)
        if modality not in self.windows:
            self.windows[modality] = kind_of(spec := self.bundle.specs[modality]).windows(spec)
        self._sensors[modality] = sensor

    def remove(self, modality: str) -> None:
        """Take `modality` out of the live set now and forget its samples."""
        self.silence(modality)
        for noted in (self._unfamiliar, self._suspected, self._belief):
            noted.forget(modality)
        self.end(modality)

    def end(self, modality: str) -> None:
        """Forget the samples of `modality`; its embedding stays live."""
        self.windows.pop(modality, None)
        self._skipped.pop(modality, None)

    def silence(self, modality: str) -> None:
        """Take `modality` out of the live set, as its encoder failed; its samples stay."""
        self._embeddings.pop(modality, None)

    def push(self, sample: Sample) -> None:
        """Add a sample; raise a `SampleError` if it is not of an added modality and its spec's form."""
        if sample.modality not in self.windows:
            raise SampleError(f"{sample.modality}: a sample of a modality that is not attached")
        self.windows[sample.modality].push(sample)

    def live(self, now: float) -> tuple[str, ...]:
        """Return the live set at `now`, sorted, without what was reported as unfamiliar or as the suspect.

        An embedding is live up to its time to live, while its window ends within the skew of the newest one.
        Unfamiliar and suspect modalities stay if no other is left, or the policy pools them. A prediction
        leaves them out from the first such window on.
        """
        near = self._near(now)
        unfamiliar = self._uncorrected(tuple(m for m in near if m in self._unfamiliar.reported))
        familiar = self._without(unfamiliar, near)
        return self._without(self._suspected.reported, familiar)

    @property
    def faults(self) -> list[Event]:
        """The events of the modalities that are reported as unfamiliar, and of the suspect."""
        kinds = (("unfamiliar", _UNLIKE, self._unfamiliar), ("suspect", _ALONE, self._suspected))
        return [
            Event(since, kind, modality, text=text)
            for kind, text, noted in kinds
            for modality, since in noted.reported.items()
        ]

    def newest(self, now: float) -> dict[str, WindowEmbedding]:
        """Return the newest embedding of each modality that is live, or would be if it were familiar."""
        return {modality: self._embeddings[modality] for modality in self._near(now)}

    def changes(self, now: float) -> list[Event]:
        """Return the changes of familiarity, of the suspect and of corrections since the last call."""
        return [
            *(
                Event(now, "familiar again", m) if over else Event(now, "unfamiliar", m, text=_UNLIKE)
                for m, over in self._unfamiliar.changes(now)
            ),
            *(
                Event(now, "agrees again", m) if over else Event(now, "suspect", m, text=_ALONE)
                for m, over in self._suspected.changes(now)
            ),
            *(self._adapter.pop_events() if self._adapter else ()),
        ]

    def moments(self, now: float) -> list[Event]:
        """Return what began and ended since the last call."""
        happened = [*self._happened, *(self._timeline.pass_to(now) if self._timeline else ())]
        self._happened.clear()
        return [
            Event(
                one.at, one.kind, text=str(one), label=one.label, began=one.began, ended=one.ended,
                confidence=one.confidence, sensors=one.sensors,
            )
            for one in happened
        ]  # fmt: skip

    @property
    def next_end(self) -> float | None:
        """The time at which what goes on ends if no answer comes before; None if nothing does."""
        return self._timeline.deadline if self._timeline else None

    def next_expiry(self, now: float) -> float | None:
        """Return when the first of the fresh embeddings expires; None without one."""
        return min((self._expiry(modality) for modality in self._fresh(now)), default=None)

    def pop_window(self, modality: str) -> PoppedWindow:
        """Return the newest window of a modality that is ready, to be encoded."""
        ring = self.windows[modality]
        window = ring.pop()
        assert window is not None  # noqa: S101 - it is ready
        return PoppedWindow(modality, self._sensors[modality], window, ring)

    def fuse(self, encoded: Iterable[WindowEmbedding], now: float) -> Prediction | None:
        """Add embeddings to the live set and predict; those of a modality removed meanwhile are ignored."""
        fresh = {e.modality: e for e in encoded if self.windows.get(e.modality) is e.ring}
        self._embeddings |= fresh
        for modality, new in fresh.items():
            self._skipped[modality] = self._skipped.get(modality, 0) + new.skipped
            is_known = bool(self.bundle.classifier.are_familiar(modality, new.embedding))
            self._unfamiliar.note(modality, new.time, on=not is_known)
        near = self._near(now)
        unfamiliar = self._uncorrected(self._unfamiliar.newest(near))
        live = self._without(unfamiliar, near)
        if not fresh or not live:
            return None
        shown = self.newest(now)
        corrected = self._adapter.correct(shown) if self._adapter else {}
        vectors = {m: corrected.get(m, one.embedding) for m, one in shown.items()}
        left_out = unfamiliar if self._policy.unfamiliar == "leave" else ()
        bundle, classifier = self.bundle, self._classifier
        lies = self._belief.lies if self._policy.unfamiliar == "leave" else {}
        evidence = {
            m: replace(
                classifier.evidence(m, vector[np.newaxis], corrected=m in corrected),
                familiar=np.array([m not in left_out]),
            )
            for m, vector in vectors.items()
        }
        whole = opinion(classifier, evidence, near, lies)
        first = [tuple(m for m in near if m in one) for one in self._prefixes]
        self.steps = tuple(
            answer_now(classifier, evidence, some, lies) if some else _NOTHING for some in first
        )
        opinions = {m: opinion(classifier, evidence, (m,)) for m in near}
        suspects: subsets.Subset = ()
        if classifier.task == "multi-class":  # in a multi-label task, no label excludes another
            familiar = {m: opinions[m].probabilities for m in live if m not in left_out}
            suspects = self._belief.note(familiar, now)
            for modality in live:
                self._suspected.note(modality, now, on=modality in suspects)
        trusted = self._without(suspects, live)
        embeddings = {m: vectors[m] for m in trusted}
        if self._timeline:
            asked = self._without(suspects, near)
            resting = [m for m in self.windows if not bundle.specs[m].hop and m not in near]  # none is due
            ratios = {m: against_none(evidence[m])[0] for m in asked}
            truths = {m: float(honest(lies, m, evidence[m].device)) for m in asked}
            whole_set = tuple(sorted({*asked, *resting}))
            self._happened += self._timeline.note(now, ratios, truths, trusted, whole_set, fresh)
        if self._adapter:
            learning = [m for m, e in fresh.items() if m in shown and not e.skipped]
            self._adapter.learn(learning, shown, now, suspects)
        rings = sorted(self.windows.items())
        return Prediction(
            time=now,
            live=trusted,
            ages={m: now - shown[m].time for m in trusted},
            probabilities=whole.probabilities,
            pooled=pool(embeddings),
            latencies={m: e.latency for m, e in fresh.items() if not e.skipped},
            dropped={m: ring.dropped for m, ring in rings},
            skipped={m: self._skipped.get(m, 0) for m, _ in rings} if self._policy.duty else {},
            lost={m: ring.lost for m, ring in rings},
            embeddings=embeddings,
            labels=whole.labels,
            threshold=whole.threshold,
            doubt=whole.doubt,
            evidence=evidence,
            opinions=opinions,
            audited=bundle.manifest.audited.get(subsets.name(trusted)),
            lies={name: p for name, p in lies.items() if name in opinions or name not in bundle.specs},
            unfamiliar=unfamiliar,
            suspect=subsets.name(suspects) if suspects else None,
            adapted=tuple(sorted(corrected)),
            levels={m: e.level for m, e in shown.items() if e.level is not None},
            bundle=bundle.fingerprint,
        )

    def _uncorrected(self, unfamiliar: tuple[str, ...]) -> tuple[str, ...]:
        """Return the unfamiliar modalities whose sensor has no correction for its newest window."""
        if not self._adapter or not unfamiliar:
            return unfamiliar
        corrected = self._adapter.correct({m: self._embeddings[m] for m in unfamiliar})
        return tuple(m for m in unfamiliar if m not in corrected)

    def _without(self, distrusted: Collection[str], near: tuple[str, ...]) -> tuple[str, ...]:
        """Return the live set: without these modalities, unless all are, or the policy pools them."""
        if not distrusted or self._policy.unfamiliar == "pool":
            return near
        return tuple(m for m in near if m not in distrusted) or near

    def _near(self, now: float) -> tuple[str, ...]:
        fresh = self._fresh(now)
        ends = {m: self._embeddings[m].time for m in fresh if self.bundle.specs[m].hop > 0}
        oldest = max(ends.values(), default=0.0) - self._policy.skew
        return tuple(m for m in fresh if m not in ends or ends[m] >= oldest)

    def _fresh(self, now: float) -> list[str]:
        return [m for m in sorted(self._embeddings) if now <= self._expiry(m)]

    def _expiry(self, modality: str) -> float:
        return self._embeddings[modality].time + self.bundle.specs[modality].ttl
