"""Scripts: inputs to an engine and its outputs, which ports replay. `scripts/` keeps one for each story.

`python -m tests.runtime.engine.script` draws them anew: the shortest of each story that Hypothesis finds. A
step has its time `at`, the input `in` (`advance` where only time passes), the outputs `out`, the next
deadline `due`, and the `view` where it is another. `bundle.json` has what answers, `sparing.json` what the
policy of sensors that sleep says to drawn answers, `timeline.json` which states and moments these are.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier, Evidence
from sensemble_runtime.bundle.head import Familiarity, Head
from sensemble_runtime.bundle.manifest import (
    Calibration,
    SetThreshold,
    SparingCalibration,
    TimelineCalibration,
)
from sensemble_runtime.engine.answer import against_none, honest
from sensemble_runtime.engine.engine import EncodeOrder, Engine, FreeOrder
from sensemble_runtime.engine.live_set import PoppedWindow, Teaching, WindowEmbedding
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.sparing import Sparing
from sensemble_runtime.engine.timeline import Timeline
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.strict_json import encode
from sensemble_sensors.supervision.events import Event
from sensemble_sensors.supervision.suite import ReaderOrder, UsedSample
from sensemble_sensors.thresholds import Thresholds

FOLDER = Path(__file__).with_name("scripts")
SPECS = {
    "audio": InputSpec("audio", "float32", (1, 20), rate=20, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 6), rate=0, window=0, hop=0, ttl=4),
    "video": InputSpec("video", "uint8", (1, 2, 4, 4, 3), rate=2, window=1, hop=0.5, ttl=2),
    "video.rear": InputSpec("video.rear", "uint8", (1, 2, 4, 4, 3), rate=2, window=1, hop=0.5, ttl=2),
}  # nobody attaches the last
LABELS = ("zero", "one", "two")
UNSURE = 7  # the number of an embedding that shows no label more than another
STRANGE = 3  # the number of an embedding that is unfamiliar; those before it show a label
CAUSES = {"unavailable": SensorUnavailableError, "lost": SensorLostError, "ended": SensorEndedError}
# Ports have no checks of rates and delays.
HEALTH = Thresholds(rate=math.inf, flood=math.inf, late=math.inf, drift=math.inf)
_FAMILIAR = Familiarity(-4 * np.eye(8, dtype=np.float32)[[STRANGE] * 4], np.full(4, 3, np.float32))
HEAD = Head(np.eye(3, 8, dtype=np.float32), np.zeros(3, np.float32), "multi-class", _FAMILIAR)
_SPARING = SparingCalibration(
    (("audio", "text"), ("video.rear",), ("video",)),
    (2, 5, 10),
    *(0.9, 1, 0.7, 0, 1, False),
    (1, 0.3, 0.2),
    *(0.9, 0.8, 0, 0.9, 0.8, 0),
)
_CALIBRATION = Calibration(0.05, 0.6, 100, 0.3, {}, dict.fromkeys(SPECS, -0.5), sparing=_SPARING)


def bundle(
    head: Head = HEAD, calibration: Calibration = _CALIBRATION, specs: Mapping[str, InputSpec] = SPECS
) -> Bundle:
    """Return three modalities and a head, without encoders."""
    classifier = Classifier(head, calibration, LABELS, specs)
    manifest = SimpleNamespace(audited={}, calibration=calibration)
    named: Any = {"specs": specs, "modalities": tuple(specs), "classifier": classifier, "fingerprint": ""}
    named |= {"path": "", "labels": LABELS}
    return cast("Bundle", SimpleNamespace(**named, manifest=manifest))


def answering() -> dict[str, Any]:
    """Return `bundle` as JSON has it."""
    head = {"weight": HEAD.weight, "bias": HEAD.bias}
    scores = {"familiar_weight": _FAMILIAR.weight, "familiar_bias": _FAMILIAR.bias}
    return {
        "specs": {modality: encode(spec) for modality, spec in SPECS.items()},
        "labels": LABELS,
        "calibration": encode(_CALIBRATION),
        "sparing": SPARING,
        "head": {name: numbers.ravel().tolist() for name, numbers in (head | scores).items()},
    }


class Stage:
    """An engine that is told inputs as JSON has them, and the `steps` and `items` so far."""

    def __init__(
        self, known: Bundle | None = None, policy: Policy | None = None, adapter: Teaching | None = None
    ) -> None:
        self.engine = Engine(known or bundle(), policy, adapter, health=HEALTH)
        self.windows: dict[str, PoppedWindow] = {}  # by modality, that are to be encoded
        self.steps: list[dict[str, Any]] = []
        self.items: list[Prediction | Event] = []
        self._view: dict[str, Any] = {}  # the newest

    def tell(self, at: float, act: str, *given: Any) -> list[Any]:  # noqa: ANN401 - JSON
        """Give an input and let time pass up to `at`; return the outputs."""
        engine, more = self.engine, list(given)
        if act == "attach":
            engine.attach(*given, at, played=False)
        elif act == "gave":
            key, sample = given
            engine.gave(key, sample and _sample(**sample), at)
        elif act == "failed":
            key, cause, text = given
            engine.failed(key, CAUSES[cause](text), at)
        elif act == "encoded":
            engine.encoded(_embedded(self.windows.pop(given[0]), given[1]), at)
        elif act == "encoder_failed":
            del self.windows[given[0]]
            engine.encoder_failed(given[0], RuntimeError(given[1]), at)
            more[1] = f"RuntimeError: {given[1]}"
        elif act != "advance":
            getattr(engine, act)(*given, at)
        out = [self._written(output) for output in engine.advance(at)]
        step = {"at": at, "in": [act, *more], "out": out, "due": engine.deadline()}
        if (view := _seen(engine.view(at))) != self._view:
            step["view"] = self._view = view
        self.steps.append(step)
        return out

    def _written(self, output: Any) -> list[Any]:  # noqa: ANN401 - of any output
        match output:
            case EncodeOrder(window):
                self.windows[window.modality] = window
                return ["encode", window.modality, round(window.window.time, 6)]
            case FreeOrder(modality):
                return ["free", modality]
            case ReaderOrder(key, act):
                return [act, key]
            case UsedSample(name, sample):
                return ["used", name, sample.modality]
            case Event(_, kind, modality, sensor, text):
                self.items.append(output)
                return ["event", kind, modality, sensor, text]
        assert isinstance(output, Prediction)
        self.items.append(output)
        return [
            "prediction",
            {
                "live": output.live,
                "ages": {m: round(age, 6) for m, age in output.ages.items()},
                "probabilities": [round(float(p), 6) for p in output.probabilities],
                "doubt": output.doubt,
                "unfamiliar": output.unfamiliar,
                "suspect": output.suspect,
                "lies": {m: round(p, 6) for m, p in output.lies.items()},
                "dropped": output.dropped,
            },
        ]


def _seen(view: View) -> dict[str, Any]:
    return {
        "sensors": [
            [
                one.name,
                one.state,
                one.why,
                round(one.since, 6),
                "active" if one.active else "standby" if one.standby else "",
                None if one.retry_at is None else round(one.retry_at, 6),
            ]
            for one in view.sensors
        ],
        "live": view.live,
        "answer": view.prediction and view.prediction.live,
        "faults": [[one.kind, one.modality, one.sensor, round(one.time, 6)] for one in view.faults],
    }


def _sample(modality: str, time: float, value: int, *, cut: bool) -> Sample:
    """Return half a second of sound at one level, a picture of one brightness, or a caption."""
    spec = SPECS[modality]
    if modality == "text":
        return Sample(modality, str(value), time, cut)
    if modality == "audio":
        return Sample(modality, np.full(10, value / 1000, np.float32), time, cut)
    return Sample(modality, np.full(spec.shape[2:], value, np.uint8), time, cut)


def _embedded(popped: PoppedWindow, number: int) -> WindowEmbedding:
    embedding = np.asarray(8 * np.eye(8)[number], np.float32)
    level = None if popped.modality == "text" else 0.5
    return WindowEmbedding(
        popped.modality, popped.sensor, embedding, popped.window.time, 0.001, popped.ring, False, level
    )


class Scene(Stage):
    """Devices and encoders around a stage, which do what it orders and what is drawn."""

    def __init__(
        self, known: Bundle | None = None, policy: Policy | None = None, adapter: Teaching | None = None
    ) -> None:
        super().__init__(known, policy, adapter)
        self.now = 100.0
        self.readers: dict[int, tuple[str, str, str]] = {}  # by key: modality, name, last order or "read"
        self.number = 0  # of a sample
        self.missing = 0  # openings that fail

    def act(self, act: str, *given: Any) -> None:  # noqa: ANN401 - JSON
        """Give an input now, and obey."""
        for kind, *told in self.tell(self.now, act, *given):
            if kind not in ("open", "close", "end"):
                continue
            (key,) = told
            modality, name, _ = self.readers[key]
            self.readers[key] = modality, name, kind
            if kind == "open" and self.missing:
                self.missing -= 1
                self.act("failed", key, "unavailable", "no such device")
            elif kind == "open":
                self.readers[key] = modality, name, "read"
                self.act("opened", key)
                self.act("ready", key)

    def wait(self, until: float) -> None:
        """Let time pass; what was ordered to close is closed at its beginning."""
        until = round(until, 6)
        for key in [key for key, (_, _, last) in self.readers.items() if last == "close"]:
            self.act("closed", key)
        while (due := self.engine.deadline()) is not None and due <= until:
            self.now = due
            self.act("advance")
        self.now = until

    @property
    def reading(self) -> list[int]:
        return [key for key, (_, _, last) in self.readers.items() if last == "read"]

    def attach(self, modality: str) -> None:
        names = [name for _, name, last in self.readers.values() if last != "end"]
        name = modality if modality not in names else f"{modality} (2)"
        if name not in names:
            key = len(self.readers)
            self.readers[key] = modality, name, ""
            self.act("attach", key, modality, modality)

    def play(self, halves: int, odd: str, how: str | int, apart: float, slow: float) -> None:
        """Let sensors give samples, each `apart` from the one before; encoders take `slow` seconds.

        Sensors move and show label 0, but for that of the `odd` modality: it is still, dark or mute, its
        clock jumps, or restarts with a cut, its code hangs, its encoder fails or is stuck, or makes the
        embedding of the number `how`.
        Where encoders are slower than half a second, the next samples come before they finish.
        """
        for _ in range(halves):
            end = self.now + 0.5
            before = sorted(self.windows)
            self.number += 1
            for place, key in enumerate(self.reading):
                modality, _, last = self.readers[key]
                look = how if modality == odd else "moving"
                value = 90 if look == "still" else 0 if look == "dark" else 20 + 7 * self.number % 200
                self.wait(max(self.now, end - 0.4 + apart * place))
                time = self.now - (5 if look in ("jumps", "restarts") else 0)
                if last != "read" or look == "hangs" or (modality == "text" and "text" in self.windows):
                    continue
                if look == "mute":
                    self.act("gave", key, None)
                    continue
                cut = look == "restarts"
                self.act("gave", key, {"modality": modality, "time": time, "value": value, "cut": cut})
            self.wait(self.now + min(slow, 0.01))
            for modality in sorted(self.windows) if slow < 0.5 else before:
                if modality == odd and how == "fails":
                    self.act("encoder_failed", modality, "out of memory")
                elif modality != odd or how != "stuck":
                    self.act("encoded", modality, how if modality == odd and isinstance(how, int) else 0)
            self.wait(max(self.now, end))

    def rest(self, halves: int) -> None:
        """Let time pass in which nothing comes."""
        for _ in range(halves):
            self.wait(self.now + 0.5)
            for key in self.reading:
                self.act("gave", key, None)

    def lose(self, which: int, cause: str, tries: int) -> None:
        """Lose a sensor, which is not there for so many tries."""
        self.missing = tries
        if keys := self.reading:
            self.act("failed", keys[which % len(keys)], cause, "gone")

    def ask(self, which: int, act: str) -> None:
        if keys := [key for key, (_, _, last) in self.readers.items() if last != "end"]:
            self.act(act, self.readers[keys[which % len(keys)]][1])


def _action(method: Callable[..., None], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(partial, st.just(method), **given)


def _played(policy: Policy, begin: list[str], actions: list[Callable[[Scene], None]]) -> Scene:
    scene = Scene(policy=policy)
    for modality in begin:
        scene.attach(modality)
    for action in actions:
        action(scene)
    return scene


def scenes(odd: str, how: str | int, *, sparing: bool) -> st.SearchStrategy[Scene]:
    """Return scenes in which the odd modality, if any, is so in some parts."""
    small = st.integers(0, 2)
    play = _action(
        Scene.play,
        halves=st.sampled_from([1, 2, 3, 5, 8, *[45] * (how in ("still", "stuck"))]),
        odd=st.sampled_from(["", odd]),
        how=st.just(how),
        apart=st.sampled_from([0.004, 0.0, 0.15]),
        slow=st.sampled_from([0.003, 0.003, 0.6]),
    )
    others = st.one_of(
        _action(Scene.attach, modality=st.sampled_from(["audio", "text", "video"])),
        _action(Scene.ask, which=small, act=st.sampled_from(["detach", "retry"])),
        _action(Scene.lose, which=small, cause=st.sampled_from(["lost", "ended"]), tries=small),
        *[_action(Scene.act, act=st.just("wake"))] * sparing,
    )
    nothing = _action(Scene.rest, halves=st.integers(0, 8))  # Hypothesis prefers it, and 0 to more
    begin = [["video"], ["audio", "video"], ["audio", "text", "video"], ["audio", "audio", "video", "video"]]
    actions = st.lists(st.one_of(nothing, play, play, others), min_size=6, max_size=8)
    return st.builds(_played, st.just(Policy(sparing=sparing)), st.sampled_from(begin), actions)


def transcript(steps: list[dict[str, Any]]) -> list[str]:
    """Return lines: inputs but for samples, embeddings and time, events, and the set of each answer."""
    lines = []
    for step in steps:
        act, *given = step["in"]
        is_sample = act == "gave" and isinstance(given[-1], dict)
        if act not in ("advance", "encoded") and not (is_sample and not given[-1]["cut"]):
            lines.append(" ".join(map(str, [">", act, *given])))
        for kind, *told in step["out"]:
            if kind == "event":
                lines.append(" ".join(filter(None, told)) if told != ["live", "", "", ""] else "nothing live")
            elif kind == "prediction":
                lines.append(f"answer {'+'.join(told[0]['live'])}")
    return lines


# Of each story, the odd modality, what it does, and the lines that a script of it has in this order.
STORIES: dict[str, tuple[str, str | int, str]] = {
    "plugging": ("", "", "attached video; answer audio.video; detached video; live audio; answer audio$"),
    "loss": ("", "", "lost; unavailable; > failed 0 unavail; > failed 0 unavail; attached; answer"),
    "loss again": (
        "",
        "",
        "lost video; attached video; answer.*video; answer.*video; lost video; attached video",
    ),
    "plugged back": (
        "",
        "",
        "> failed . unavail; > retry video; attached video; lost video; > closed; attached video",
    ),
    "plugged back at once": ("", "", "lost video; > retry video; > closed; attached video; answer.*video"),
    "frozen": ("video", "still", "answer.*video; unhealthy.*frozen; recovered video; answer.*video"),
    "black": ("video", "dark", "answer.*video; unhealthy.*black; recovered video; answer.*video"),
    "silent": ("audio", "dark", "answer.*audio; unhealthy.*silent; recovered audio; answer.*audio"),
    "stalled": ("", "", "lost.*nothing came; attached; answer; lost.*nothing came"),
    "mute": (
        "audio",
        "mute",
        "attached audio; > gave . None; answer video$; answer video$; answer audio.video",
    ),
    "a clock that jumps": ("video", "jumps", "unhealthy video.*jumps; recovered video; answer.*video"),
    "a clock that restarts": ("video", "restarts", "answer.*video; > gave.*True; answer.*video"),
    "never healthy": ("video", "still", "lost.*frozen. it is reopened; unhealthy; recovered; answer.*video"),
    "a liar": ("video", 1, "suspect; answer; agrees again; answer audio.text.video"),
    "a liar that is replaced": ("video", 1, r"suspect; > attach . video; active.*2\); agrees again; answer"),
    "unfamiliar": ("video", STRANGE, "unfamiliar video; answer audio; familiar again; answer audio.video"),
    "nothing familiar": ("video", STRANGE, "unfamiliar; answer video; familiar again; answer video"),
    "two sensors": ("", "", r"answer; active video video$; active.*2\); lost.*2\); active video; answer"),
    "two that work": ("audio", "dark", r"active.*2\); unhealthy.*2\); active; active.*2\)"),
    "a sensor that hangs": (
        "video",
        "hangs",
        "answer audio.video; unhealthy video.*does not return; answer audio; recovered video; answer.*video",
    ),
    "an encoder that hangs": (
        "video",
        "stuck",
        "encoder failed video.*does not return; answer audio; encoder works again; answer.*video",
    ),
    "an encoder": ("video", "fails", "answer.*video; > enc.*; > enc.*; encoder works again; answer.*video"),
    "a slow encoder": ("", "", "answer audio.video; answer audio$; answer audio.video"),
    "an end": ("", "", "answer audio.video; ended video; answer audio.video; live audio$"),
    "captions": ("", "", "answer audio.text; live text; nothing live; answer text"),
    "expiry": ("", "", "live audio.video; nothing live; live audio.video"),
    "a class that ends": ("", "", "began zero; nothing live; ended zero.*after; began zero"),
    "a class that nothing shows any more": (
        "video",
        STRANGE,
        "began zero; ended zero.*after; unfamiliar video; began zero",
    ),
    "asleep": (
        "",
        "",
        "attached video; answer audio.video; asleep video; answer audio$; > wake; woken video",
    ),
    "woken by doubt": (
        "audio",
        UNSURE,
        "asleep video; answer audio$; woken video.*unsure between; answer audio.video; asleep video",
    ),
    "woken by a loss": ("", "", "asleep video; lost audio; woken video.*give nothing; answer video$"),
    "woken by the unknown": ("audio", STRANGE, "asleep video; woken video.*know nothing; answer.*video"),
    "lost while it slept": ("", "", "asleep video; woken video; unavailable video; attached video; answer"),
}
SPARING = ("asleep", "woken by doubt", "woken by a loss", "woken by the unknown", "lost while it slept")
"""The stories whose sensors sleep while they are not needed."""


def tells(story: str, steps: list[dict[str, Any]]) -> bool:
    """Return whether a script tells a story. No port has a budget."""
    lines = transcript(steps)
    rest = iter(lines)
    is_told = all(any(re.match(one, line) for line in rest) for one in STORIES[story][2].split("; "))
    return is_told and not any(line.startswith("overload") for line in lines)


def draw(story: str) -> list[dict[str, Any]]:
    """Return the steps of the shortest script of a story."""
    phases = (Phase.generate, Phase.shrink)
    options = settings(max_examples=8_000, database=None, deadline=None, derandomize=True, phases=phases)
    odd, how, _ = STORIES[story]
    found = find(
        scenes(odd, how, sparing=story in SPARING), lambda scene: tells(story, scene.steps), settings=options
    )
    return found.steps


def replay(story: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps that an engine makes of the inputs of `steps`."""
    stage = Stage(policy=Policy(sparing=story in SPARING))
    for step in steps:
        act, *given = step["in"]
        if act == "encoder_failed":
            given[1] = given[1].removeprefix("RuntimeError: ")
        stage.tell(step["at"], act, *given)
    return stage.steps


def spared() -> list[dict[str, Any]]:
    """Return drawn answers of three places, and what the policy says to them."""
    draw, now, steps = np.random.default_rng(0), 0.0, []
    calibration = replace(_SPARING, order=(("audio",), ("text",), ("video",)), hold=2.5)
    policy = Sparing(calibration, now)
    for _ in range(400):
        now += round(float(draw.choice([0.25, 0.5, 3, 12, 40, 310], p=[0.4, 0.3, 0.1, 0.1, 0.06, 0.04])), 3)
        act = str(draw.choice(["note", "pass", "wake"], p=[0.9, 0.07, 0.03]))
        confidences = draw.choice([0.0, 0.5, 0.95], 3, p=[0.15, 0.25, 0.6]).tolist()
        live: list[bool | None] = [place < policy.needed and draw.uniform() < 0.9 for place in range(3)]
        live = [None if draw.uniform() < 0.1 else one for one in live]
        suspect = bool(draw.uniform() < 0.05)
        if act == "note":
            woken = policy.note(now, confidences, live, suspect=suspect)
        else:
            woken = policy.pass_to(now) if act == "pass" else policy.wake(now)
        wakings = [[one.place, one.cause] for one in woken]
        given = {"at": now, "act": act, "confidences": confidences, "live": live, "suspect": suspect}
        steps.append({**given, "woken": wakings, "needed": policy.needed, "due": policy.deadline})
    return [{"calibration": encode(calibration)}, *steps]


def timed(usual: float) -> list[dict[str, Any]]:
    """Return drawn answers of three classes that last so many seconds, and what a timeline tells of them."""
    draw, now, label, steps = np.random.default_rng(0), 0.0, 0, []
    sets = {
        "audio": SetThreshold(2.5, 1.0, 0, None),
        "audio+video": SetThreshold(1.0, 1.0, 0, None, {"video": 0.25}),
    }
    calibration = TimelineCalibration(0.8, usual, {"two": 0.5}, 1.0, sets)
    timeline = Timeline(calibration, LABELS)
    for _ in range(400):
        now += float(draw.choice([0.25, 0.5, 1.5, 7.0], p=[0.45, 0.5, 0.03, 0.02]))
        label = int(draw.integers(3)) if draw.uniform() < 0.1 else label
        sensors = ("audio",) if draw.uniform() < 0.3 else ("audio", "video")
        evidence = {
            m: Evidence(
                np.round(draw.dirichlet(np.where(np.arange(3) == label, 6, 1)), 6)[np.newaxis],
                np.round(draw.normal(1, 3, 1), 6),
                familiar=draw.uniform(size=1) < 0.9,
                far=draw.uniform(size=1) < 0.5,
            )
            for m in sensors
        }
        lies = {m: round(float(draw.uniform()) ** 4, 6) for m in sensors}
        fresh = [m for m in sensors if draw.uniform() < 0.7] or sensors[:1]
        near = ("audio", "video") if draw.uniform() < 0.1 else sensors  # the camera has nothing to say
        ratios = {m: against_none(evidence[m])[0] for m in sensors}
        truths = {m: float(honest(lies, m, None)) for m in sensors}
        happened = [*timeline.pass_to(now), *timeline.note(now, ratios, truths, sensors, near, fresh)]
        happenings = [
            [one.kind, one.label, one.began, one.ended, round(one.confidence, 6)] for one in happened
        ]
        given = {
            m: {
                "classes": one.classes[0].tolist(),
                **{name: getattr(one, name)[0].item() for name in ("known", "familiar", "far")},
            }
            for m, one in evidence.items()
        }
        step = {"at": now, "evidence": given, "fresh": fresh, "lies": lies, "sensors": sensors, "near": near}
        weighed = [np.round(own, 6).tolist() for own in ratios.values()]  # processors differ in the last bits
        steps.append({**step, "ratios": weighed, "happened": happenings})
    return [{"calibration": encode(calibration)}, *steps]


if __name__ == "__main__":
    for old in FOLDER.glob("*.json"):
        old.unlink()
    (FOLDER / "bundle.json").write_text(json.dumps(answering()) + "\n", encoding="utf-8")
    (FOLDER / "sparing.json").write_text(json.dumps(spared()) + "\n", encoding="utf-8")
    (FOLDER / "timeline.json").write_text(json.dumps([timed(12.0), timed(2.0)]) + "\n", encoding="utf-8")
    for name in STORIES:
        lines = ",\n".join(json.dumps(step) for step in draw(name))
        (FOLDER / f"{name.replace(' ', '_')}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
