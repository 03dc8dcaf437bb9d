"""Test vectors: what the runtime makes of the streams, captions and embeddings that ports must follow.

`write(folder, task)` writes a bundle without artifacts, and `vectors.json`: `inputs` and `expected`. An
encoder here is the sine of eight numbers of its window, so that a wrong sample, frame or id shows.
"""

import hashlib
import json
import math
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import compress, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime import subsets
from sensemble_runtime.auditing.calibration import RISK, calibrate, fit_redundancy, fit_threshold
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier, Evidence
from sensemble_runtime.bundle.head import Familiarity, Head, load_head, save_head
from sensemble_runtime.bundle.manifest import (
    Artifact,
    Calibration,
    FileEntry,
    ModalityCalibration,
    ModalityEntry,
    Parity,
    Task,
)
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_runtime.engine.answer import opinion
from sensemble_runtime.engine.belief import RARE, Belief, are_strange, fuse
from sensemble_runtime.engine.live_set import WindowEmbedding
from sensemble_runtime.prediction import Answer, Prediction
from sensemble_sensors.codecs.framing import fit
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_sensors.strict_json import decode, encode
from sensemble_train.models.tokenizer import train_tokenizer
from sensemble_train.recipe.instant import HeldOutAnswers, Instant
from sensemble_train.recipe.linear import fit_familiarity, fit_linear
from tokenizers import Tokenizer

from tests.runtime.manifests import MANIFEST, UNMEASURED, entry
from tests.runtime.stepped import LiveSet

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 100), rate=100, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 24), rate=0, window=0, hop=0, ttl=10),
    "video": InputSpec("video", "uint8", (1, 2, 12, 16, 3), rate=2, window=1, hop=0.5, ttl=4),
}
SERIES = InputSpec(
    "imu",
    "float32",
    (1, 100, 2),
    rate=100,
    window=1,
    hop=0.3,
    ttl=2,
    kind="series",
    channels=(Channel("x"), Channel("y", "m/s^2", -20, 20)),
)
LABELS = ("one", "two", "three")
CORPUS = (
    "a person says the number seven",
    "It's NOT a nine; they've said it's 42!",
    "ένας αριθμός Σίσυφος",
    "eight  eight   dogs\tbarking",
    "naïve café, ünïcode 数字 七",
)
_LETTERS = (
    "abc XYZ's've012 !?[PAD] \t\n\u00a0\u2003\u0085\u2028éÉΣςİ\u0131\u017fﬁǅ½²٣ـᾳ数七🙂👩\u200d👧e\u0301"
)
_SIZE = 8  # of an embedding
NO_OTHERS: Mapping[str, Mapping[str, bool]] = {}
_FEATURES = {"audio": 60, "text": 5, "video": 30}
Event = tuple[str, float, list[float] | str | None]
"""Modality, time, and the samples, the brightness of a frame, a caption, or None where the sensor is lost."""


def captions() -> list[str]:
    source = random.Random(0)  # noqa: S311 - test data
    drawn = ["".join(source.choices(_LETTERS, k=source.randint(1, 30))) for _ in range(300)]
    return [*CORPUS, "", " ", "[PAD]", "a[PAD]b", "[PAD] [PAD]x", "ΟΔΥΣΣΕΥΣ", "x\n\n y", *drawn]


def calibration(task: str) -> Calibration:
    """Return that of sound and film; what captions say is as the head says it."""
    power = 1.0 if task == "multi-class" else 0.0
    fitted = {
        "audio": ModalityCalibration(0.5, power, 100, 100),
        "video": ModalityCalibration(2.0, 0.0, 100, 100),
    }
    return Calibration(RISK, 0.8, 100, 0.4, fitted, familiar={"audio": -0.5, "video": -0.5})


def events() -> list[Event]:
    """Sensors with jitter, gaps and losses, and a camera whose last window grows too old to be pooled."""
    source = random.Random(1)  # noqa: S311 - test data
    found: list[Event] = [("text", t, f"number {t}") for t in (2.005, 2.8, 22.0)]
    for block in range(330):
        time = 0.07 * (block + 1) + (1.3 if block > 60 else 0) + (0.8 if block > 100 else 0)  # a gap; no gap
        heard = [source.uniform(-1, 1) for _ in range(7)]
        found.append(("audio", time, None if block == 150 else heard))
    time = 0.0
    for frame in range(260):
        time += source.uniform(0.01, 0.06) if frame < 130 else source.uniform(0.1, 0.15)
        pause = 3.1 if frame > 220 else 1.2 if frame > 170 else 0
        found.append(("video", time + pause, None if frame == 200 else [float(frame % 256)]))
    return sorted(found, key=lambda event: event[1])


class Sines:
    """The bundle that `write` wrote, whose encoders take no time."""

    def __init__(self, folder: Path) -> None:
        self.specs, self.modalities, self.fingerprint = SPECS, tuple(SPECS), ""
        self.manifest = replace(read_manifest(folder / "manifest.json"), audited={})
        path = folder / self.manifest.head.path
        self.head = load_head(path.read_bytes(), self.manifest.task, path)
        self.classifier = Classifier(self.head, self.manifest.calibration, LABELS, SPECS)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def load(self, modality: str) -> None:
        pass

    def unload(self, modality: str) -> None:
        pass

    def tokenize(self, caption: str) -> NDArray[np.int64]:
        return tokenize(self._tokenizer, caption, self.specs["text"].shape[1])

    def encode(self, _modality: str, window: NDArray[np.generic] | str) -> NDArray[np.float32]:
        numbers = (self.tokenize(window) if isinstance(window, str) else window).ravel()
        return np.sin(numbers[np.arange(8) * len(numbers) // 8], dtype=np.float64).astype(np.float32)


def _sample(spec: InputSpec, time: float, data: Any, **more: Any) -> Sample:  # noqa: ANN401 - JSON
    if spec.dtype == "float32":
        data = np.array(data, np.float32).reshape(-1, *spec.shape[2:])
    elif spec.dtype == "uint8":
        data = np.full(spec.shape[2:], data[0], np.uint8)
    return Sample(spec.modality, data, time, **more)


def write(folder: Path, task: Task, targets: Mapping[str, Mapping[str, bool]] = NO_OTHERS) -> Path:
    """Write a bundle without artifacts and its `vectors.json`; return the folder.

    Its manifest names artifacts for ONNX and, by modality, for other targets, which may be proved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(0)
    weight, bias = source.standard_normal((3, _SIZE), np.float32), source.standard_normal(3, np.float32)
    shapes = (3, _SIZE), 3, (3, 3, 2, _SIZE), 3
    scores = Familiarity(*(source.standard_normal(shape, np.float32) for shape in shapes))
    save_head(Head(weight, bias, task, scores), folder / "head.safetensors")
    train_tokenizer(CORPUS * 20, 400).save(str(folder / "tokenizer.json"))
    write_manifest(
        replace(
            UNMEASURED,
            modalities={
                m: ModalityEntry(
                    spec,
                    {
                        t: _artifact(f"{m}/x.{t}", proved=p)
                        for t, p in {"onnx": False, **targets.get(m, {})}.items()
                    },
                )
                for m, spec in SPECS.items()
            },
            embedding=_SIZE,
            labels=LABELS,
            task=task,
            head=entry(folder, "head.safetensors"),
            tokenizer=entry(folder, "tokenizer.json"),
            calibration=calibration(task),
            audited=MANIFEST.audited,
        ),
        folder / "manifest.json",
    )
    asked = inputs()
    text = json.dumps({"inputs": asked, "expected": expected(asked, folder)}, ensure_ascii=False)
    (folder / "vectors.json").write_text(text, encoding="utf-8")
    return folder


def _artifact(path: str, *, proved: bool) -> Artifact:
    file = FileEntry(path, 1, hashlib.sha256(b"x").hexdigest())
    return Artifact(path, (file,), "fp32", Parity(1, 0, 0, 1, 1) if proved else None, None, None)


def inputs() -> dict[str, Any]:
    """Return what ports are given, as JSON has it."""
    return {
        "captions": captions(),
        "picture": random.Random(5).choices(range(256), k=37 * 61 * 3),  # noqa: S311 - test data
        "rings": [
            {"spec": encode(spec), "steps": _steps(spec, seed)}
            for spec in (*SPECS.values(), SERIES)
            for seed in range(6)
        ],
        "embeddings": _embeddings(),
        "breaks": breaks(),
        "fused": fused(),
        "moments": moments(),
        "turns": turns(),
        "stream": _stream(),
        "takes": {"size": sum(_FEATURES.values()) + len(_FEATURES), "takes": _takes()},
    }


def _takes() -> list[dict[str, Any]]:
    """Return takes of three classes, with two windows each, and two that show none of them, without captions.

    One lacks its camera, another has one caption.
    """
    source = np.random.default_rng(7)
    places, end = {}, 0
    for modality, size in _FEATURES.items():
        places[modality], end = end, end + size + 1
    centres = {m: source.standard_normal((3, size)) for m, size in _FEATURES.items()}
    found: list[dict[str, Any]] = []
    centres = {m: np.concatenate([x, -x.sum(axis=0, keepdims=True)]) for m, x in centres.items()}
    for number in range(23):
        shown = number % 3 if number < 21 else 3
        windows: dict[str, list[list[float]]] = {}
        for modality, size in _FEATURES.items():
            if (number, modality) == (4, "video") or (shown == 3 and modality == "text"):
                continue
            windows[modality] = []
            for _ in range(1 if modality == "text" else 2):
                features = 0.5 * centres[modality][shown] + source.standard_normal(size)
                embedding = np.zeros(end, np.float32)
                embedding[places[modality] :][:size] = features / np.linalg.norm(features)
                embedding[places[modality] + size] = 1
                windows[modality].append(embedding.tolist())
        found.append({"label": None if shown == 3 else LABELS[shown], "windows": windows})
    return found


def _steps(spec: InputSpec, seed: int) -> list[dict[str, Any] | None]:
    """Return samples that jitter, are cut, lost, far apart or step back; None where a window is taken."""
    source = random.Random(seed)  # noqa: S311 - test data
    found: list[dict[str, Any] | None] = []
    time = 0.0
    for number in range(400):
        count = source.choice((1, 3, 7, 7, 7, 20, 400))
        time += {"float32": count / 100, "int64": 0.3}.get(spec.dtype, source.choice((0.02, 0.1, 0.1, 0.4)))
        time += source.choice((0.0, 0.0, 0.0, source.uniform(-0.01, 0.01)))
        step = source.random()
        time += 1.7 if step < 0.01 else -0.5 if step < 0.02 else -0.1 if step < 0.04 else 0.0
        data: Any = f"number {number}"
        if spec.dtype == "float32":
            rows = count * math.prod(spec.shape[2:])
            data = [float(np.float32(source.uniform(-1, 1))) for _ in range(rows)]
        elif spec.dtype == "uint8":
            data = [number % 256]
        cut, lost = source.random() < 0.01, int(source.random() < 0.02)
        found.append({"time": time, "data": data, "cut": cut, "lost": lost})
        found += [None] * (source.random() < (0.7 if seed % 2 else 0.1))
    return found


def _vector(source: np.random.Generator, scale: float) -> list[float]:
    return (source.standard_normal(_SIZE) * scale).astype(np.float32).tolist()


def _embeddings() -> list[dict[str, Any]]:
    """Return embeddings of every live set, and how some of its modalities lie."""
    source = np.random.default_rng(2)
    found: list[dict[str, Any]] = []
    for subset in subsets.subsets(SPECS):
        for scale in (0.1, 0.5, 1, 2, 5, 20):
            for _ in range(10):
                live = {m: _vector(source, scale) for m in subset}
                lies = {m: source.random() for m in subset if source.random() < 0.3}
                found.append({"live": live, "lies": lies})
    return found


def fused() -> list[dict[str, Any]]:
    """Return opinions of one to four modalities, and of seven, of which few parts are asked.

    Some agree, some contradict the rest, some know nothing, and some are sure to the last digit.
    """
    source = np.random.default_rng(6)
    found: list[dict[str, Any]] = []
    for n, redundancy in product((1, 2, 3, 4, 7), (0, 0.4, 1)):
        for number in range(16):
            truth = source.integers(5, size=n) if number % 4 == 3 else np.full(n, source.integers(5))
            logits = source.standard_normal((n, 5)) * 0.5
            logits[np.arange(n), truth] += source.choice((0, 1, 3, 200), n)
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            opinions = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
            lies = source.random(n) ** 3 if number % 2 else np.full(n, RARE)
            case = {"opinions": opinions.tolist(), "lies": lies.tolist(), "redundancy": redundancy}
            shares = np.exp(-np.arange(5.0))
            prior = (shares / shares.sum()).astype(np.float32).tolist() if number % 3 == 0 else []
            rows = (
                []
                if number % 4 < 2
                else [one for one in ([0, n - 1], [1, 2]) if len({*one}) == 2 and n > one[1]]
            )
            chances = source.random(2) if number % 2 else (RARE, RARE)
            devices = [{"rows": one, "lies": p} for one, p in zip(rows, chances, strict=False)]
            found.append(case | {"prior": prior, "devices": devices})
    return found


def breaks() -> list[dict[str, Any]]:
    """Return four unfamiliar sensors of one to four devices, one called as a sensor, and which are far."""
    return [
        {"devices": dict(zip("abcd", devices, strict=True)), "far": dict(zip("abcd", far, strict=True))}
        for devices, far in product(
            ("wwww", "wwpp", "wpwp", "wpqr", ("", "a", "a", "")), product((False, True), repeat=4)
        )
    ]


def strange_of(case: Mapping[str, Any]) -> list[str]:
    """Return the sensors of one case of `breaks` that speak against a known scene."""
    far = np.array(list(case["far"].values()), bool)[:, np.newaxis]
    return list(compress("abcd", are_strange(np.ones_like(far), far, list(case["devices"].values()))))


def moments() -> list[dict[str, Any]]:
    """Return the opinions of three modalities, of which one lies for some time, and some leave.

    At last, there are two, which contradict each other.
    """
    source = np.random.default_rng(3)
    found: list[dict[str, Any]] = []
    truth = lie = 0
    for number in range(240):
        if number % 4 == 0:  # another scene
            truth, lie = (int(x) for x in source.choice(10, 2, replace=False))
        liar = "video" if 60 <= number < 120 or number >= 200 else ""
        opinions = {}
        for modality in SPECS if number < 200 else ("audio", "video"):
            if source.random() < 0.1:
                continue
            logits = source.standard_normal(10) * 0.5
            logits[lie if modality == liar else truth] += 4
            shares = np.exp(logits - logits.max())
            opinions[modality] = (shares / shares.sum()).astype(np.float32).tolist()
        forget = "video" if number == 150 else "audio" if number in (90, 170) else None
        found.append({"now": 0.7 * number, "opinions": opinions, "forget": forget})
    return found


def turns() -> dict[str, Any]:
    """Return the opinions of four modalities, of which a device of two turns away; some sensors leave.

    For some time, one of the others is not there, and for some, only it and the device.
    """
    source = np.random.default_rng(5)
    devices = {"audio": "webcam", "depth": "", "text": "", "video": "webcam"}
    found: list[dict[str, Any]] = []
    truth = lie = 0
    for number in range(200):
        if number % 4 == 0:  # another scene
            truth, lie = (int(x) for x in source.choice(10, 2, replace=False))
        turned = [m for m, device in devices.items() if device and (40 <= number < 100 or number >= 150)]
        there = [m for m in devices if number < 150 or m != "depth"]
        opinions = {}
        for modality in there:
            if source.random() < 0.1:
                continue
            logits = source.standard_normal(10) * 0.5
            logits[lie if modality in turned else truth] += 4
            shares = np.exp(logits - logits.max())
            opinions[modality] = (shares / shares.sum()).astype(np.float32).tolist()
        forget = {80: "video", 120: "depth", 140: "audio"}.get(number)
        found.append({"now": 0.7 * number, "opinions": opinions, "forget": forget})
    return {"devices": devices, "moments": found}


def _stream() -> list[dict[str, Any]]:
    """Return `events`, of which some windows are fused late, and one modality changes its sensor."""
    source = random.Random(4)  # noqa: S311 - test data
    return [
        {
            "modality": modality,
            "time": time,
            "data": data,
            "sensor": "second" if modality == "audio" and time > 14 else "first",
            "late": source.random() < 0.3,
        }
        for modality, time, data in events()
    ]


def expected(asked: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the runtime makes of `inputs`, as JSON has it, with the bundle in `folder`."""
    bundle, belief = Sines(folder), Belief(SPECS)
    turning = Belief(asked["turns"]["devices"], asked["turns"]["devices"])
    picture = np.array(asked["picture"], np.uint8).reshape(37, 61, 3)
    answers = []
    for one in asked["embeddings"]:
        known = bundle.classifier
        evidence = {m: known.evidence(m, np.array([x], np.float32)) for m, x in one["live"].items()}
        answers.append(
            {
                "sets": {
                    subsets.name(subset): _answer(opinion(known, evidence, subset, one["lies"]))
                    for subset in subsets.subsets(evidence)
                },
                "familiar": {m: bool(x.usable(np.ones(1, bool))[0]) for m, x in evidence.items()},
                "far": {m: x.far is not None and bool(x.far[0]) for m, x in evidence.items()},
            }
        )
    return {
        "picture": fit(picture, SPECS["video"].shape[2:4]).ravel().tolist(),  # type: ignore[arg-type]
        "ids": [bundle.tokenize(caption)[0].tolist() for caption in asked["captions"]],
        "rings": [_taken(**ring) for ring in asked["rings"]],
        "answers": answers,
        "strange": [strange_of(one) for one in asked["breaks"]],
        "fused": [fused_of(one, bundle.manifest.task) for one in asked["fused"]],
        "beliefs": [noted(belief, **one) for one in asked["moments"]],
        "turns": [noted(turning, **one) for one in asked["turns"]["moments"]],
        "stream": list(predicted(bundle, asked["stream"])),
        "learned": _learned(**asked["takes"]),
        "promise": bundle.manifest.calibration.promise,
    }


def fused_of(case: Mapping[str, Any], task: Task) -> list[float]:
    """Return the probabilities of one case of `fused`."""
    opinions, lies = np.array(case["opinions"], np.float32), np.array(case["lies"])
    prior = np.array(case["prior"], np.float32) if case["prior"] else None
    turned = {tuple(one["rows"]): np.array([one["lies"]]) for one in case["devices"]}
    found = fuse(opinions[:, None], lies[:, None], case["redundancy"], task, prior, turned)[0]
    return [float(chance) for chance in found]


def _learned(size: int, takes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the instant head of takes, of two examples each, and the threshold of sound and film alone."""
    labels = tuple(sorted(LABELS))
    takes, strange = takes[:21], takes[21:]
    truth = torch.tensor([labels.index(take["label"]) for take in takes for _ in range(2)])
    groups = np.arange(len(takes)).repeat(2)
    weight = np.zeros((len(labels), size), np.float32)
    left_out: dict[str, torch.Tensor] = {}
    present: dict[str, NDArray[np.bool_]] = {}
    likeness: dict[str, NDArray[np.float32]] = {}
    slopes, limits, place = np.zeros((len(_FEATURES), size), np.float32), dict[str, float](), 0
    alike: Any = [SimpleNamespace(group=str(number)) for number in range(len(strange)) for _ in range(2)]
    unlike = HeldOutAnswers(alike, len(labels))
    for row, (modality, count) in enumerate(_FEATURES.items()):
        rows = [take["windows"].get(modality, []) for take in takes]
        there = present[modality] = np.array([bool(own) for own in rows]).repeat(2)
        every = torch.tensor([(own * 2)[i] for own in rows if own for i in range(2)])
        known = torch.from_numpy(there)
        folds = torch.from_numpy(groups // len(labels) % 10)[known]  # classes take turns
        features = every[:, None, place : place + count]
        found = fit_linear(features, truth[known], folds, len(labels), "multi-class")
        weight[:, place : place + count] = found.weight
        weight[:, place + count] = found.bias
        left_out[modality] = torch.zeros(len(truth), len(labels)).index_put((known,), found.left_out)
        if others := [one for take in strange for one in take["windows"].get(modality, [])]:
            other = torch.tensor(others)[:, None, place : place + count]
            everywhere = torch.ones(len(others), dtype=torch.bool)
            turns = unlike.folds(everywhere)
            fit = fit_familiarity(features, other, folds, groups[there], turns)
            limits[modality] = fit.limit
            likeness[modality] = np.zeros(len(truth), np.float32)
            likeness[modality][there] = fit.of_known
            scores = other[:, 0] @ found.weight.T + found.bias
            unlike.note(everywhere, fit.of_other < fit.limit, scores)
            slopes[row, place : place + count + 1] = fit.weights
        place += count + 1
    logits = {m: x.numpy() for m, x in left_out.items()}
    modalities = calibrate(logits, present, truth.numpy(), "multi-class", groups)
    own = Calibration(RISK, 0.0, 0, 0.0, modalities, {})
    classifier = Classifier(Head(weight, weight[:, 0], "multi-class"), own, labels, modalities)
    evidence = {
        m: Evidence(classifier.calibrated(m, x), likeness.get(m), limits.get(m, 0.0))
        for m, x in logits.items()
    }
    fitted = {}
    for names in (tuple(_FEATURES), ("audio", "video")):
        shown = {m: present[m] for m in names}
        redundancy = fit_redundancy(evidence, shown, truth.numpy(), "multi-class")
        nobody = np.zeros(len(truth), int)  # takes of one page are of one person
        arguments = shown, truth.numpy(), "multi-class", nobody, redundancy
        threshold, count = fit_threshold({m: evidence[m] for m in names}, *arguments)
        fitted[subsets.name(names)] = {"threshold": threshold, "groups": count, "redundancy": redundancy}
    model: Any = SimpleNamespace(description=SimpleNamespace(labels=labels))
    examples: Any = SimpleNamespace(targets=truth)
    right = Instant(model, examples, tuple(map(str, groups)), (), left_out).right()
    return {
        "labels": list(labels),
        "weight": weight.ravel().tolist(),
        "familiar_weight": slopes.ravel().tolist(),
        "familiar": limits,
        "modalities": {m: encode(one) for m, one in modalities.items()},
        "fitted": fitted,
        "right": {label: list(counts) for label, counts in right.items()},
        "none": list(unlike.right() or ()),
    }


def _taken(spec: dict[str, Any], steps: list[dict[str, Any] | None]) -> dict[str, Any]:
    """Return the windows of a ring: their times, and a digest of their data."""
    read = decode(InputSpec, json.loads(json.dumps(spec)))
    ring = kind_of(read).windows(read)
    found = []
    for step in steps:
        if step is not None:
            ring.push(_sample(read, **step))
        elif (window := ring.pop()) is None:
            found.append(None)
        else:
            data = window.data
            given = data.encode() if isinstance(data, str) else np.ascontiguousarray(data).tobytes()
            found.append({"time": window.time, "data": hashlib.sha256(given).hexdigest()})
    return {"windows": found, "dropped": ring.dropped, "lost": ring.lost}


def noted(
    belief: Belief, now: float, opinions: Mapping[str, list[float]], forget: str | None
) -> dict[str, Any]:
    """Return the suspect of one moment, and what is believed of each modality after it."""
    if forget:
        belief.forget(forget)
    suspect = belief.note({m: np.array(p, np.float32) for m, p in opinions.items()}, now)
    return {"suspect": subsets.name(suspect) or None, "lies": belief.lies}


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "probabilities": answer.probabilities.tolist(),
        "doubt": answer.doubt,
        "candidates": [LABELS.index(c) for c in answer.candidates],
    }


def predicted(bundle: Sines, stream: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what becomes of each event of a stream."""
    live_set = LiveSet(cast("Bundle", bundle))
    held: list[WindowEmbedding] = []
    for event in stream:
        modality, time, data = event["modality"], event["time"], event["data"]
        if data is None:
            live_set.remove(modality)
        else:
            live_set.add(modality, event["sensor"])
            live_set.push(_sample(bundle.specs[modality], time, data))
        held += [live_set.encode(live_set.pop_window(m)) for m in live_set.ready]
        made = None
        if not event["late"]:
            made, held = live_set.fuse(held, time), []
        changes = [[event.modality, event.kind.endswith("again")] for event in live_set.changes(time)]
        yield {
            "prediction": made and _prediction(made),
            "live": list(live_set.live(time)),
            "changes": changes,
        }


def _prediction(made: Prediction) -> dict[str, Any]:
    return {
        **_answer(made),
        "live": list(made.live),
        "ages": made.ages,
        "pooled": made.pooled.tolist(),
        "opinions": {m: _answer(one) for m, one in made.opinions.items()},
        "unfamiliar": list(made.unfamiliar),
        "suspect": made.suspect,
        "lies": made.lies,
        "dropped": made.dropped,
        "lost": made.lost,
        "levels": made.levels,
    }


if __name__ == "__main__":
    for name in ("multi-class", "multi-label"):
        write(Path(sys.argv[1]) / name, cast("Task", name))
