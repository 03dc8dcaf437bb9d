"""Replay in virtual time, as fast as the encoders allow: the same input gives the same predictions."""

from collections.abc import Collection, Iterable, Sequence
from heapq import merge

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.live_set import LiveSet
from sensemble_sensors.conditioned import begin, captured
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import samples, span
from sensemble_sensors.recording.reader import AWAY, Recorded, TakeEvent
from sensemble_sensors.sensor import Sample

from sensemble_apps.running.real_time import Options, Schedule, plugged_at
from sensemble_apps.running.view_events import Predicted, Stream, change, view_event


def replay(
    bundle: Bundle,
    played: Sequence[Example] | Recorded,
    options: Options,
    schedule: Schedule | None = None,
    *,
    labels: bool = False,
) -> Stream:
    """Play examples, one prediction each, or a recording, one prediction a window.

    Sensors come and go by `schedule`, or as recorded. With `labels`, the adapter learns from them, too.
    """
    bundle.threads = options.policy.threads
    live_set = LiveSet(bundle, options.policy, options.adapt)
    if isinstance(played, Recorded):
        yield from _recording(live_set, bundle, played, options, labels=labels)
    else:
        schedule = schedule or [bundle.modalities]
        yield from _examples(live_set, bundle, played, options, schedule, labels=labels)


def _examples(
    live_set: LiveSet,
    bundle: Bundle,
    examples: Sequence[Example],
    options: Options,
    schedule: Schedule,
    *,
    labels: bool,
) -> Stream:
    """Encode one window of each modality an example.

    Between two examples, time passes by the longest time to live: nothing of one is live in the next.
    """
    degradations = {m: begin(options.conditions, spec) for m, spec in bundle.specs.items()}
    forms = {m: captured(options.conditions, spec) for m, spec in bundle.specs.items()}
    length = span(bundle.specs)
    period = length + max(spec.ttl for spec in bundle.specs.values())
    for i, example in enumerate(examples):
        origin = i * period
        plugged = plugged_at(schedule, i / len(examples))
        yield from _plug(live_set, plugged, origin)
        specs = {m: forms[m] for m in plugged}
        for sample in samples(example, specs, origin + length - span(specs)):
            live_set.push(degradations[sample.modality](sample))
        prediction = live_set.step(origin + length)
        yield from _learn(live_set, options.adapt, example if labels else None, origin + length)
        if prediction is not None:
            yield Predicted(prediction.time, prediction, example)


def _plug(live_set: LiveSet, plugged: Collection[str], now: float) -> Stream:
    for modality in live_set.modalities:
        if modality not in plugged:
            live_set.remove(modality)
            yield change(now, modality, "", "detached", "")
    for modality in plugged:
        if modality not in live_set.modalities:
            live_set.add(modality, f"replay {modality}")
            yield change(now, modality, "", "attached", "")


def _recording(
    live_set: LiveSet, bundle: Bundle, recorded: Recorded, options: Options, *, labels: bool
) -> Stream:
    forms = {m: captured(options.conditions, spec) for m, spec in bundle.specs.items()}
    degradations = {m: begin(options.conditions, spec) for m, spec in bundle.specs.items()}
    samples = (degradations[sample.modality](sample) for sample in recorded.samples(forms))
    names: dict[str, str] = {}  # of the sensors, by modality: a recording has one of each at a time
    streams: list[Iterable[TakeEvent | Sample]] = [recorded.events, samples]
    for item in merge(*streams, key=lambda item: item.time):
        if isinstance(item, TakeEvent):
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
            yield from _learn(live_set, options.adapt, example if labels else None, item.time)
            yield Predicted(prediction.time, prediction, example)


def _learn(live_set: LiveSet, adapter: Adapter | None, labelled: Example | None, now: float) -> Stream:
    """Teach the labels of an example, and yield the changes of what the sensors learned."""
    if adapter is None:
        return
    for label in labelled.labels if labelled is not None else ():
        adapter.label(label, live_set.newest(now), now)
    adapter.study()
    for event in live_set.changes(now):
        yield view_event(event, 0.0)
