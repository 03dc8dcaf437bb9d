"""The page itself: complete, honest about what is missing, and free of everything from outside."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from sensemble_apps import evidence, report
from sensemble_apps.report import Evidence
from sensemble_runtime.manifest import (
    Artifact,
    FileEntry,
    Manifest,
    ModalityEntry,
    Parity,
    Provenance,
    write_manifest,
)
from sensemble_sensors.spec import InputSpec

from .conftest import contrast, matrices, variables, write_matrix

MADE = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
VOID = {"meta", "link", "br", "img", "hr", "input"}
SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), rate=16000, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 8), rate=0, window=0, hop=0, ttl=2),
    "video": InputSpec("video", "uint8", (1, 4, 32, 32, 3), rate=4, window=1, hop=0.5, ttl=2),
}


class Page(HTMLParser):
    """Checks that elements nest, and collects what the tests ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def manifest() -> Manifest:
    scores = matrices("video")["masd+wiseft"]["video"]
    return Manifest(
        schema=1,
        modalities={
            m: ModalityEntry(
                spec,
                {
                    "executorch-xnnpack": Artifact(
                        f"{m}/encoder.pte",
                        500_000,
                        "0" * 64,
                        "int8",
                        Parity(0.9987, 0.2, 0.01, 64),
                        4.25,
                        41.0,
                    )
                },
            )
            for m, spec in SPECS.items()
        },
        embedding=8,
        labels=("zero", "one"),
        task="multi-class",
        head=FileEntry("head.safetensors", 10, "0" * 64),
        tokenizer=FileEntry("tokenizer.json", 10, "0" * 64),
        provenance=Provenance(
            train_modalities=("video",),
            method="masd+wiseft",
            dataset="colours <&>",
            accuracy=scores,
            accuracy_quantized={name: score - 0.005 for name, score in scores.items()},
            float_bytes=dict.fromkeys(SPECS, 2_000_000),
            float_latency_ms=dict.fromkeys(SPECS, 9.5),
            created="2026-11-24T12:00:00+00:00",
        ),
    )


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_matrix(folder / "matrix.json", matrices("video"))
    (folder / "bundle").mkdir()
    write_manifest(manifest(), folder / "bundle" / "manifest.json")
    (folder / "config.json").write_text(
        '{"seed": 7, "data": "/home/me/colours", "pretrain": {"steps": 100}}', encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def of_run(run_folder: Path) -> Evidence:
    return evidence.of_run(run_folder)


@pytest.fixture(scope="module")
def of_matrix(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return evidence.of_matrix(write_matrix(tmp_path_factory.mktemp("m") / "matrix.json", matrices()))


@pytest.fixture(scope="module", params=["of_run", "of_matrix"])
def html(request: pytest.FixtureRequest) -> str:
    return report.render(request.getfixturevalue(request.param), MADE)


def test_it_needs_nothing_from_outside(html: str) -> None:
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img", "object", "embed", "base"}
    assert not re.search(r"https?://|url\((?!#)|@import|\bsrc=", html)
    targets = [value for _, attributes in page.tags for key, value in attributes.items() if "href" in key]
    assert all(target and target.startswith("#") for target in targets)


def test_ids_are_unique_and_every_reference_has_its_target(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for key, value in attributes.items():
            if key == "aria-labelledby":
                assert value
                assert set(value.split()) <= set(ids)
            elif "href" in key and value:
                assert value.removeprefix("#") in ids
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)


def test_tables_have_headers_and_figures_have_names(html: str) -> None:
    page = Page(html)
    tags = [tag for tag, _ in page.tags]
    assert tags.count("thead") == tags.count("table") > 0
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) == 3
    assert all(f["role"] == "img" and f["aria-labelledby"] for f in figures)
    assert ("html", {"lang": "en"}) in page.tags


def test_the_headline_says_what_the_worst_loss_does(of_run: Evidence) -> None:
    before = of_run.manifest.provenance.accuracy_quantized["audio+text+video"] if of_run.manifest else 0
    after = of_run.manifest.provenance.accuracy_quantized["audio+text"] if of_run.manifest else 0
    text = Page(report.render(of_run, MADE)).text
    assert f"If the camera dies, accuracy falls from {100 * before:.1f} % to {100 * after:.1f} %." in text
    assert "Plain finetuning" in text


def test_it_shows_float_beside_int8_and_the_encoders(of_run: Evidence) -> None:
    text = Page(report.render(of_run, MADE)).text
    assert "65.0 64.5 0.5" in text  # video alone: 0.3 + 0.25 + 0.1
    for number in ("0.50 MB", "2.00 MB", "0.25", "4.2 ms", "9.5 ms", "41 MB", "0.9987", "64"):
        assert number in text
    assert "colours <&>" in text
    assert "Seed 7" in text
    assert "Pretrain steps 100" in text
    assert "/home/me" not in text
    assert "not audited" in text


def test_it_says_what_it_does_not_have(of_run: Evidence, of_matrix: Evidence) -> None:
    one_set = Page(report.render(of_run, MADE)).text
    assert "One training set was trained of the 7 possible (video)" in one_set
    assert "Missing at Test sensors it was trained on are gone P " + " ".join("\N{EN DASH}" * 5) in one_set
    alone = Page(report.render(of_matrix, MADE)).text
    assert "no bundle beside this matrix" in alone
    assert "training set was trained" not in alone


def test_a_matrix_of_one_sensor_still_makes_a_page(of_matrix: Evidence) -> None:
    alone = replace(of_matrix, matrices={"finetune": {"audio": {"audio": 0.5}}})
    assert "With audio, the score is 50.0 %." in Page(report.render(alone, MADE)).text


def test_markup_in_names_stays_text(of_matrix: Evidence) -> None:
    tricky = {"<script>alert(1)</script>": of_matrix.matrices["masd"]}
    page = Page(report.render(replace(of_matrix, matrices=tricky), MADE))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text


def test_text_has_contrast_in_light_dark_and_print() -> None:
    css = resources.files("sensemble_apps").joinpath("templates/report.css").read_text(encoding="utf-8")
    light, dark, paper = (variables(block) for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL))
    for colours in (light, light | dark, light | paper):
        for ink in ("--ink", "--muted"):
            for ground in ("--surface", "--raised"):
                assert contrast(_full(colours[ink]), _full(colours[ground])) >= 4.5, (ink, ground)
        assert contrast(_full(colours["--ink"]), _hottest(colours)) >= 4.5
        for i in range(8):
            assert contrast(_full(colours[f"--series-{i}"]), _full(colours["--surface"])) >= 3


def _full(colour: str) -> str:
    return colour if len(colour) == 7 else "#" + "".join(2 * digit for digit in colour[1:])


def _hottest(colours: "dict[str, str]") -> str:
    """The ground of the heat table's highest cell."""
    share = float(colours["--heat-strength"])
    surface = [int(_full(colours["--surface"])[i : i + 2], 16) for i in (1, 3, 5)]
    heat = [int(level) for level in colours["--heat"].split()]
    return "#" + "".join(
        f"{round(share * h + (1 - share) * s):02x}" for h, s in zip(heat, surface, strict=True)
    )
