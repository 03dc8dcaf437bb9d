"""The live page in a real browser: its camera and microphone, its buttons, its forms, and who can use it."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, WebSocketRoute, expect
from sensemble_apps.live_page.api import audited
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.session import Session
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.supervision import events

from tests.apps.chromium import (
    LOOKS,
    SLOW,
    chromium,
    complaining,
    devices,
    inaccessible,
    unreached,
)
from tests.needs import WEB_CHECKS
from tests.waiting import wait_until

from .serving import Served, packed, serving

pytestmark = pytest.mark.needs("chromium")

TSC = WEB_CHECKS / "typescript" / "bin" / "tsc"
expect.set_options(timeout=SLOW)

LOADED = "performance.getEntriesByType('resource').map(({name}) => name)"
SMALL = """[...document.querySelectorAll("button, select, input, summary, nav a")]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
    .map((one) => one.outerHTML)"""
COVERED = """[...document.querySelectorAll("#record, #strip, #scrub, #events button, .card button, summary")]
    .filter((one) => {
        one.scrollIntoView({block: "nearest"});
        const {x, y, width, height} = one.getBoundingClientRect();
        const top = document.elementFromPoint(x + width / 2, y + Math.min(height, 20) / 2);
        return one.checkVisibility() && !one.contains(top) && !top?.contains(one);
    }).map((one) => one.outerHTML)"""
CUT = """[...document.querySelectorAll("#lattice .node *")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1)
    .map((one) => one.outerHTML)"""
ROWS = """[...document.querySelectorAll("#lattice ul")]
    .map((row) => new Set([...row.children].map((one) => one.offsetTop)).size)"""


NOTE_SOUND = """() => {
    window.heard = [];
    const { start } = AudioBufferSourceNode.prototype;
    AudioBufferSourceNode.prototype.start = function (at) {
        const loud = Math.max(...this.buffer.getChannelData(0));
        heard.push({ at, lasts: this.buffer.duration, loud, context: this.context });
        start.call(this, at);
    };
}"""


@pytest.fixture(scope="module")
def page_of_a_replay(bundle: Bundle, examples: Sequence[Example]) -> Iterator[Served]:
    with serving(bundle, examples) as served:
        yield served


def opened(browser: Browser, served: Served, **options: Any) -> tuple[Page, list[str]]:  # noqa: ANN401
    """Open the page; give it and what its console complains about."""
    page = browser.new_context(**options).new_page()
    complaints = complaining(page)
    page.goto(f"{served.origin}/")
    expect(page.locator("#connection")).to_have_text("connected")
    expect(page.locator("#dots .live")).to_have_count(3)
    return page, complaints


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_fits_complains_of_nothing_and_axe_finds_nothing(
    page_of_a_replay: Served, browser: Browser, width: int, scheme: str
) -> None:
    size: Any = {"width": width, "height": 900}
    page, complaints = opened(browser, page_of_a_replay, viewport=size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    violations, small, rows = inaccessible(page), page.evaluate(SMALL), page.evaluate(ROWS)
    names = page.evaluate(LOADED)
    page.mouse.wheel(0, 2000)
    if width < 960:
        expect(page.locator("#label")).to_be_in_viewport()
    page.context.close()
    assert (violations, complaints, small, rows) == ([], [], [], [1, 1, 1, 1])
    assert all(name.startswith(page_of_a_replay.origin) for name in names)


def test_nothing_covers_what_can_be_pressed(page_of_a_replay: Served, browser: Browser) -> None:
    page, _ = opened(browser, page_of_a_replay)
    for width, height in product((390, 768, 1280, 1440, 1920), (600, 900)):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(COVERED) == [], (width, height)
    page.context.close()


def test_the_keyboard_reaches_everything(page_of_a_replay: Served, browser: Browser) -> None:
    page, _ = opened(browser, page_of_a_replay)
    assert unreached(page) == set()
    page.locator("main").focus()
    page.keyboard.press("2")
    expect(page.locator("#labels [aria-pressed=true]")).to_have_text("2two")
    page.keyboard.press("Escape")
    expect(page.locator("#labels [aria-pressed=true]")).to_have_count(0)
    page.locator("#lattice").focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    expect(page.locator("#set")).to_contain_text("microphone: right")
    page.context.close()


def test_what_a_replay_plays_is_heard_without_gaps_after_a_press_and_not_before(
    page_of_a_replay: Served, browser: Browser
) -> None:
    page, _ = opened(browser, page_of_a_replay)
    page.evaluate(NOTE_SOUND)
    press = page.get_by_role("button", name="Hear it")
    expect(press).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(500)
    assert page.evaluate("heard.length") == 0
    press.click()
    wait_until(lambda: page.evaluate("heard.filter(({loud}) => loud > 0.01).length") > 3)
    heard = page.evaluate("heard.map(({at, lasts}) => ({at, lasts}))")
    follows = [after["at"] - (one["at"] + one["lasts"]) for one, after in pairwise(heard)]
    assert sum(abs(gap) < 1e-6 for gap in follows) >= len(follows) // 2, "a busy machine is late now and then"
    assert all(gap > -1e-6 for gap in follows), "no two sounds at once"
    press.click()
    wait_until(lambda: page.evaluate("heard.at(-1).context.state") == "closed")
    page.context.close()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_camera_is_in_sight_below_the_answer_and_has_no_picture_when_it_is_unplugged(
    page_of_a_replay: Served, browser: Browser, width: int, height: int
) -> None:
    page, _ = opened(browser, page_of_a_replay, viewport={"width": width, "height": height})
    picture = page.locator("#picture")
    expect(picture).to_be_in_viewport(ratio=1)
    expect(page.locator("#label")).to_be_in_viewport(ratio=1)
    assert picture.bounding_box()["width"] > width / 4  # type: ignore[index]
    expect(page.locator("#promise")).to_be_hidden()
    page.get_by_text("How far to trust it").click()
    expect(page.locator("#promise")).to_be_visible()
    page.get_by_role("button", name="Unplug replay video").click()
    expect(picture.locator("img")).to_have_count(0)  # an old picture beneath a new word contradicts it
    expect(picture).to_have_attribute("data-empty", "replay video unplugged")
    expect(page.locator("#without")).to_contain_text("s without camera")
    page.get_by_role("button", name="Plug back replay video").click()
    page.context.close()


def test_what_began_and_ended_is_a_block_and_a_line(page_of_a_replay: Served, browser: Browser) -> None:
    page, complaints = opened(browser, page_of_a_replay)
    began = monotonic() - 6.0
    given: Any = {"label": "door_bell", "began": began, "confidence": 0.97, "sensors": ("audio", "video")}
    page_of_a_replay.report(events.Event(began, "began", **given))
    line = page.locator("#events .happened", has_text="door bell, by microphone and camera")
    expect(line).to_be_visible()
    page_of_a_replay.report(events.Event(began + 5.0, "ended", **given, ended=began + 5.0))
    expect(line).to_contain_text(", for 5 s")
    expect(line.locator("time")).to_have_attribute("title", re.compile("^[0-9]:"))  # since the start
    expect(page.locator("#strip .happened", has_text="door bell")).to_have_count(1)
    assert (inaccessible(page), complaints) == ([], [])
    page.context.close()


def test_a_cable_is_pulled_the_light_moves_and_the_moment_is_looked_back_at(
    page_of_a_replay: Served, browser: Browser
) -> None:
    page, _ = opened(browser, page_of_a_replay)
    scores = {one["subset"]: one for one in audited(page_of_a_replay.session.bundle)}
    sets = [scores[name] for name in ("audio+text+video", "audio+text")]
    before, after = (f"{one['accuracy'] * one['n']:.0f} of {one['n']}" for one in sets)
    lit = page.locator("#lattice .lit")
    expect(lit).to_contain_text("microphone + captions + camera")
    # A sensor is renamed, and its title is its name on the page.
    page.get_by_label("Title of replay video").fill("the door")
    page.get_by_label("Title of replay video").press("Enter")
    page.get_by_role("button", name="Unplug the door").click()
    expect(lit.locator(".names")).to_have_text("microphone + captions")
    expect(page.locator(".chip")).to_have_text(f"camera: {before} → {after}")
    expect(page.locator("[data-modality=video] .state")).to_have_text("unplugged")
    page.get_by_role("button", name="Plug back the door").click()
    expect(page.locator("#dots .live")).to_have_count(3)
    expect(page.locator(".chip")).to_have_text(f"camera back: {after} → {before}")
    # One that lies is marked, and its edge.
    session = page_of_a_replay.session
    suspect = events.Event(monotonic(), "suspect", "text")
    session.view = lambda: replace(Session.view(session), faults=(suspect,))  # type: ignore[method-assign]
    expect(page.locator(".chip.bad")).to_contain_text("captions at odds with the others")
    expect(page.locator("#lattice line.bad")).to_have_count(1)
    assert inaccessible(page) == []
    del session.view
    # Any moment is looked at, with its picture: that of an event, or one on the strip.
    page.locator("#events button", has_text="the door unplugged").click()
    expect(page.locator("#moment")).to_contain_text("as it was at")
    expect(page.locator("#then img")).to_have_count(1)
    page.get_by_role("button", name="Back to now").click()
    expect(page.locator("#moment")).to_be_empty()
    page.locator("#strip").click()
    expect(page.locator("#then")).to_be_visible()
    page.locator("#scrub").focus()
    page.keyboard.press("End")
    expect(page.locator("#then")).to_be_hidden()
    page.get_by_text("Session", exact=True).click()
    expect(page.locator("#numbers")).to_contain_text("Encoding")
    page.get_by_label("Title of replay video").fill("")
    page.get_by_label("Title of replay video").press("Enter")
    page.context.close()


@contextmanager
def scripted(
    browser: Browser, served: Served, change: Callable[[dict[str, Any]], None]
) -> Iterator[tuple[Page, Callable[..., None], dict[str, Any]]]:
    """Open the page on a phone, at a server that says what the test says; give its first answer, too."""
    with served.viewer() as viewer:
        state = viewer.next("state", lambda state: state["answer"] and len(state["live"]) == 3)
        hello = viewer.hello
    state["sensors"] = [{**sensor, "noted": ""} for sensor in state["sensors"]]  # one may be suspect
    change(hello)
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    routes: list[WebSocketRoute] = []
    page.route_web_socket("**/socket", lambda route: routes.insert(0, route))
    page.goto(f"{served.origin}/")
    expect(page.locator("#connection")).to_have_text("connected")
    routes[0].send(json.dumps(hello))

    def say(**changes: object) -> None:
        routes[0].send(json.dumps({**state, "timeline": [], "previews": {}, "demo": "", **changes}))

    yield page, say, state
    page.context.close()


@pytest.mark.parametrize(("count", "rows"), [(6, [1, 6, 15, 20, 15, 6, 1]), (8, [1, 8, 8, 1])])
def test_many_sensors_have_a_lattice_that_a_phone_shows_whole_and_says_what_was_audited(
    page_of_a_replay: Served, browser: Browser, count: int, rows: list[int]
) -> None:
    names = [f"audio.{letter}" for letter in "abcdefgh"[:count]]
    score = {"accuracy": 0.9, "low": 0.8, "high": 0.95, "n": 40}
    drawn = subsets.measured(names)

    def many(hello: dict[str, Any]) -> None:
        modality = hello["modalities"][0]
        hello["modalities"] = [{**modality, "modality": name, "sensor": name} for name in names]
        hello["subsets"] = [{"subset": "+".join(s), "modalities": s, **score} for s in drawn]

    with scripted(browser, page_of_a_replay, many) as (page, say, state):
        sensors = [{**state["sensors"][0], "name": name, "modality": name} for name in names]
        nodes = "[...document.querySelectorAll('#lattice ul')].map((row) => row.children.length)"
        lit, evidence = page.locator("#lattice .lit"), page.locator("#audited")
        for live in names, names[:4], names[:5]:
            audited = score if tuple(live) in set(map(tuple, drawn)) else None
            answer = {**state["answer"], "label": "two", "why": "", "live": live, "audited": audited}
            say(live=live, sensors=sensors, answer=answer)
            expect(lit.locator(".names")).to_have_text(" + ".join(live))
            if audited:
                expect(evidence).to_have_text("Right 90 % of the time with these sensors.")
            else:
                expect(lit.locator("b")).to_have_text("–")  # noqa: RUF001 - as the page has it
                expect(evidence).to_have_text("Not audited with these sensors.")
            if live == names:
                assert (page.evaluate(nodes), page.evaluate(ROWS)) == (rows, [1] * len(rows))
                assert page.evaluate("document.documentElement.scrollWidth") == 390
                assert inaccessible(page) == []


def test_it_says_what_it_expects_the_light_holds_still_and_few_examples_are_counted(
    page_of_a_replay: Served, browser: Browser
) -> None:
    labels = ["standing_up", "sitting_down"]

    def few(hello: dict[str, Any]) -> None:
        hello |= {"labels": labels, "examples": {labels[1]: {"text": {"caption": "a chair"}}}}
        score = {"accuracy": 1.0, "low": 0.54, "high": 1.0, "n": 6}
        hello["subsets"] = [{**one, **score} for one in hello["subsets"]]

    with scripted(browser, page_of_a_replay, few) as (page, send, state):
        unsure = {"label": None, "best": labels[0], "doubt": "several", "none": False, "words": "unsure"}

        def say(seconds: float, *live: str, **answer: Any) -> None:  # noqa: ANN401
            given = {**unsure, **answer, "live": live}
            lattice = [{**given, "subset": subsets.name(one)} for one in subsets.subsets(live)]
            send(time=seconds, live=live, answer={**state["answer"], **given}, lattice=lattice)

        say(0, "audio", "text", "video")
        node = page.locator("#lattice .lit .node")
        expect(node.locator("b")).to_have_text("6 of 6")
        expect(node).to_contain_text("standing up?")
        expect(node.locator(".icons .icon")).to_have_count(3)  # before, it is of the replay
        assert page.evaluate(CUT) == []
        expect(page.locator("#known li")).to_have_text(["standing up", "sitting down", "none of these"])
        page.evaluate("window.at = performance.now(); performance.now = () => window.at")  # until it is moved
        say(1, "audio", "video")  # captions that are left out for a moment
        say(2, "audio", "text", "video")
        say(2.5, "audio", "video")
        expect(page.locator("#lattice .lit .icons .icon")).to_have_count(3)
        page.evaluate("window.at += 2000")
        say(2.9, "audio", "video", none=True, best=None)  # another doubt than before
        expect(page.locator("#lattice .lit .icons .icon")).to_have_count(2)
        expect(page.locator("#expects")).to_be_hidden()
        say(3, "audio", "video", none=True, best=None)
        expect(page.locator("#expects figure")).to_have_count(1)  # what it has an example of
        expect(page.locator("#expects")).to_contain_text("a chair")
        assert inaccessible(page) == []
        say(4, "audio", "video", label=labels[0], doubt=None, words="standing up")
        expect(page.locator("#expects")).to_be_hidden()


def test_the_interface_for_programs_is_described(page_of_a_replay: Served, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{page_of_a_replay.origin}/api.html")
    expect(page.get_by_role("heading", name="POST /api/label")).to_be_visible()
    page.close()


def test_a_browsers_camera_and_microphone_come_go_and_come_back(
    playwright: Playwright, bundle: Bundle, tmp_path: Path
) -> None:
    label = "two"
    flags = devices(tmp_path, label)
    with serving(bundle) as served, chromium(playwright, *flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.goto(f"{served.origin}/")
        expect(page.locator("#purpose")).to_have_text("Try it")
        expect(page.locator("#labels")).to_be_hidden()
        assert inaccessible(page) == []
        page.get_by_role("button", name="Use this camera and microphone").click()
        page.get_by_text("Score", exact=True).click()
        expect(page.locator("#labels")).to_be_visible()
        expect(page.locator("#first")).to_be_hidden()
        expect(page.get_by_label("Title of camera of computer 1")).to_have_value("camera of this computer")
        with captions(served, bundle, label):
            expect(page.locator("#dots .live")).to_have_count(3)
            # So little calibrates the demo of the tests that it may be unsure; the likeliest class is shown.
            expect(page.locator("#classes li").first).to_contain_text(label)
            expect(page.locator("#lattice [data-size='1'] li").last).to_contain_text(label)
            expect(page.locator("[data-modality=video] .says")).to_contain_text("alone")
            expect(page.locator("[data-modality=audio] .says")).to_contain_text("alone")
            page.locator("[data-modality=video]").get_by_role("button", name="noise").click()
            expect(page.locator("[data-modality=video] [aria-pressed=true]")).to_have_text("noise")
            page.locator("[data-modality=video]").get_by_role("button", name="noise").click()
            expect(page.locator("[data-modality=video] [aria-pressed=true]")).to_have_count(0)
            page.get_by_role("button", name="Unplug camera of this computer").click()
            expect(page.locator("#dots .live")).to_have_count(2)
            expect(page.locator("#steps .done").last).to_have_text("Unplug a sensor")
            page.get_by_role("button", name="Plug back camera of this computer").click()
            expect(page.locator("#dots .live")).to_have_count(3)


class captions:  # noqa: N801 - a context manager
    """Another client, which writes the same caption again and again while the block runs."""

    def __init__(self, served: Served, bundle: Bundle, label: str) -> None:
        self._served, self._data = served, packed(bundle, "text", f"this is {label}")
        self._stop = Event()
        self._thread = Thread(target=self._write)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        with self._served.viewer() as viewer:
            sensor, _ = viewer.give("text")
            number = 0
            while not self._stop.wait(0.3):
                viewer.sample(sensor, number, self._data)
                number += 1
                viewer.skip()


@pytest.mark.needs("web-checks")
def test_the_pages_modules_have_no_error_of_types() -> None:
    project = Path(__file__).with_name("tsconfig.json")
    done = subprocess.run(["node", TSC, "-p", project], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
