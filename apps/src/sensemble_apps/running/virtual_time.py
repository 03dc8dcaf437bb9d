"""Replay in virtual time, as fast as the encoders allow."""

from collections.abc import Collection, Iterable, Sequence
from heapq import merge

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.live_set import LiveSet
from sensemble_runtime.session.scheduler import Policy
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.degrading import begin, captured
from sensemble_sensors.media import example_stream
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.degraded import degraded_stream
from sensemble_sensors.media.example_stream import span
from sensemble_sensors.recording.reader import AWAY, Recorded, RecordedEvent
from sensemble_sensors.sensor import Sample

from sensemble_apps.running.plug_schedule import Phase, phase_at
from sensemble_apps.running.view_events import Predicted, Stream, change, view_event


def fast(
    bundle: Bundle,
    examples: Sequence[Example],
    phases: tuple[Phase, ...],
    policy: Policy,
    conditions: Sequence[Applied] = (),
    adapter: Adapter | None = None,
    *,
    labels: bool = False,
) -> Stream:
    """Play `examples` in virtual time: one prediction an example, from all that is plugged in.

    Between two examples, time passes by the longest time to live, so nothing of one is live in the next. One
    window of each modality is encoded.
    The same input gives the same predictions; only their latencies depend on this machine.

    Raises:
        BadDataError: a media file cannot be decoded.
    """
    live_set = LiveSet(bundle, policy, adapter)
    degradations = {m: begin(conditions, spec) for m, spec in bundle.specs.items()}
    forms = {m: captured(conditions, spec) for m, spec in bundle.specs.items()}
    length = span(bundle.specs)
    pause = max(spec.ttl for spec in bundle.specs.values())
    for i, example in enumerate(examples):
        origin = i * (length + pause)
        plugged = phase_at(phases, i / len(examples)).plugged
        yield from _plug(live_set, plugged, origin)
        specs = {m: forms[m] for m in plugged}
        for sample in example_stream.samples(example, specs, origin + length - span(specs)):
            degraded = degradations[sample.modality](sample)
            if degraded.time <= origin + length:
                live_set.push(degraded)
        prediction = live_set.step(origin + length)
        if adapter is not None:
            yield from _learned(live_set, adapter, example if labels else None, origin + length)
        if prediction is not None:
            yield Predicted(prediction.time, prediction, example)
    if adapter is not None:
        end = len(examples) * (length + pause)
        adapter.study(end=True)
        yield from _learned(live_set, adapter, None, end)


def _plug(live_set: LiveSet, plugged: Collection[str], now: float) -> Stream:
    """Remove the modalities that are not in `plugged`, add those that are, and yield the changes."""
    for modality in live_set.modalities:
        if modality not in plugged:
            live_set.remove(modality)
            yield change(now, modality, "", "detached", "")
    for modality in plugged:
        if modality not in live_set.modalities:
            live_set.add(modality, f"replay {modality}")
            yield change(now, modality, "", "attached", "")


def recording(
    bundle: Bundle,
    recorded: Recorded,
    policy: Policy,
    conditions: Sequence[Applied] = (),
    adapter: Adapter | None = None,
    *,
    labels: bool = False,
) -> Stream:
    """Play a recording in virtual time: one prediction a window, while sensors come and go as they did.

    The same recording gives the same predictions; only their latencies depend on this machine.

    Raises:
        BadDataError: it cannot be read.
    """
    live_set = LiveSet(bundle, policy, adapter)
    forms = {m: captured(conditions, spec) for m, spec in bundle.specs.items()}
    samples = degraded_stream(recorded.samples(forms), conditions, bundle.specs)
    names: dict[str, str] = {}  # of the sensors, by modality: a recording has one of each at a time
    streams: list[Iterable[RecordedEvent | Sample]] = [recorded.events, samples]
    for item in merge(*streams, key=lambda item: item.time):
        if isinstance(item, RecordedEvent):
            if item.modality in bundle.specs:
                yield change(item.time, item.modality, item.name, item.kind, item.reason)
            names[item.modality] = item.name
            if item.kind in AWAY:
                live_set.remove(item.modality)
            elif item.kind == "ended":
                live_set.end(item.modality)
            continue
        live_set.add(item.modality, names.get(item.modality, ""))
        live_set.push(item)
        prediction = live_set.step(item.time)
        for event in live_set.changes(item.time):
            yield view_event(event, 0.0)
        if prediction is not None:
            example = recorded.example_at(item.time)
            if adapter is not None:
                yield from _learned(live_set, adapter, example if labels else None, item.time)
            yield Predicted(prediction.time, prediction, example)
    if adapter is not None:
        adapter.study(end=True)
        yield from _learned(live_set, adapter, None, recorded.length)


def _learned(live_set: LiveSet, adapter: Adapter, labelled: Example | None, now: float) -> Stream:
    """Teach the label of an example, if it has one, and yield what was learned since the last call."""
    for label in labelled.labels if labelled is not None else ():
        adapter.label(label, live_set.newest(now), now)
    adapter.study()
    for event in live_set.changes(now):
        yield view_event(event, 0.0)
