"""Replay in virtual time, as fast as the encoders allow: the same input gives the same predictions."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace as replaced
from heapq import merge

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.degraded import begin, captured
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import samples, span
from sensemble_sensors.recording.reader import AWAY, Recorded, TakeEvent
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.events import STATES, Event

from sensemble_apps.running.real_time import Options, Schedule, plugged_at
from sensemble_apps.running.view_events import Opened, Predicted, ViewEvents, shown_event, view_event


def replay(
    bundle: Bundle,
    played: Sequence[Example] | Recorded,
    options: Options,
    schedule: Schedule | None = None,
) -> ViewEvents:
    """Play examples, one prediction each, or a recording, one prediction a window.

    Sensors come and go by `schedule`, or as recorded.
    """
    if isinstance(played, Recorded):
        yield from _recording(bundle, played, options)
    else:
        yield from _examples(bundle, played, options, schedule or [bundle.modalities])


def _examples(
    bundle: Bundle, examples: Sequence[Example], options: Options, schedule: Schedule
) -> ViewEvents:
    """Encode one window of each modality an example.

    Between two examples, time passes by the longest time to live: nothing of one is live in the next.
    """
    policy = replaced(options.policy, align=span(bundle.specs))  # the windows of an example belong together
    session = VirtualSession(bundle, policy, options.conditions, options.adapt)
    yield Opened(0.0, session.view)
    degradations = {m: begin(options.conditions, spec) for m, spec in bundle.specs.items()}
    forms = {m: captured(options.conditions, spec) for m, spec in bundle.specs.items()}
    length = span(bundle.specs)
    period = length + max(spec.ttl for spec in bundle.specs.values())
    for i, example in enumerate(examples):
        origin = i * period
        plugged = plugged_at(schedule, i / len(examples))
        _plug(session, plugged, origin)
        yield from _shown(session.advance(origin), example)
        specs = {m: forms[m] for m in plugged}
        for sample in samples(example, specs, origin + length - span(specs)):
            session.give(degradations[sample.modality](sample), sample.time)
        session.engine.stop_waiting(plugged)  # what gave nothing gives nothing
        yield from _shown(session.advance(origin + length), example)
        _learn(session, options.adapt, origin + length)
        yield from _shown(session.advance(origin + length), example)


def _plug(session: VirtualSession, plugged: Collection[str], now: float) -> None:
    for modality in sorted(session.attached.difference(plugged)):
        session.unplug(modality, now)
    for modality in plugged:
        if modality not in session.attached:
            session.plug(modality, f"replay {modality}", now)


def _shown(items: Iterable[Prediction | Event], example: Example) -> ViewEvents:
    """Yield the predictions of an example, and the events that still hold between two examples."""
    for item in items:
        if isinstance(item, Prediction):
            yield Predicted(item.time, item, example)
        elif item.label:
            continue  # examples one after the other are no stream
        elif item.kind in STATES:  # a dataset has one sensor of each modality, without a name
            yield replaced(item, sensor="")
        elif item.kind in ("taught", "untaught"):
            yield shown_event(item)


def _recording(bundle: Bundle, recorded: Recorded, options: Options) -> ViewEvents:
    session = VirtualSession(bundle, options.policy, options.conditions, options.adapt)
    yield Opened(0.0, session.view)
    forms = {m: captured(options.conditions, spec) for m, spec in bundle.specs.items()}
    degradations = {m: begin(options.conditions, spec) for m, spec in bundle.specs.items()}
    names: dict[str, str] = {}  # of the sensors, by modality: a recording has one of each at a time
    streams: list[Iterable[TakeEvent | Sample]] = [recorded.events, recorded.samples(forms)]

    now = 0.0
    for item in merge(*streams, key=lambda item: item.time):
        now = item.time
        yield from _said(session, options.adapt, recorded, now)
        if isinstance(item, Sample):
            if item.modality not in session.attached:
                session.plug(item.modality, names.get(item.modality, ""), now)
            session.give(degradations[item.modality](item), now)
            continue
        names[item.modality] = item.sensor
        if item.modality in bundle.specs:
            yield shown_event(item)
        if item.kind in AWAY:
            session.unplug(item.modality, now)
        elif item.kind == "ended":
            session.end(item.modality, now)
    now += 2 * options.policy.align  # which the last windows may wait for
    for _ in range(2):  # then for what was learned from them
        yield from _said(session, options.adapt, recorded, now)


def _said(session: VirtualSession, adapter: Adapter | None, recorded: Recorded, now: float) -> ViewEvents:
    """Yield the predictions and events of a recording, except its sensors' events, which are recorded."""
    for item in session.advance(now):
        if isinstance(item, Event) and item.kind in (*STATES, "live") and not item.label:
            continue
        shown = view_event(item, 0.0, recorded.example_at)
        if isinstance(shown, Predicted):
            _learn(session, adapter, shown.time)
        yield shown


def _learn(session: VirtualSession, adapter: Adapter | None, now: float) -> None:
    if adapter is not None:
        adapter.study()
        session.engine.studied(now)
