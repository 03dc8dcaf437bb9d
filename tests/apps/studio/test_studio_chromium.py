"""The studio in a real browser: from an empty folder to a live model of its camera and microphone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect
from sensemble_apps.studio import instant_head

from tests.apps.chromium import (
    LOOKS,
    SLOW,
    chromium,
    complaining,
    devices,
    inaccessible,
    unreached,
)
from tests.apps.conftest import tiny

from .studying import Steady, Studying, studying

pytestmark = pytest.mark.needs("chromium")

TAKES = 5  # of each class
TRAINED = 900_000  # milliseconds; a busy machine is no failure
ONE = re.compile("^(unsure: )?(camera and microphone disagree: )?one")
expect.set_options(timeout=SLOW)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studying]:
    """A studio with two takes of each of two classes, and both sensors."""
    camera, microphone = Steady("video"), Steady("audio")
    with studying(tmp_path_factory.mktemp("studio") / "project", camera, microphone) as served:
        for label in ("zero", "one"):
            camera.label = microphone.label = label
            served.act("add_classes", names=label)
            for _ in range(2):
                served.take(label)
        yield served


def opened(page: Page, served: Studying) -> list[str]:
    """Open the studio; give what the console complains about."""
    complaints = complaining(page)
    page.goto(f"{served.origin}/")
    expect(page.locator("#connection")).to_have_text("connected")
    return complaints


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_it_fits_complains_of_nothing_and_axe_finds_nothing(
    recorded: Studying, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints = opened(page, recorded)
    expect(page.locator(".take img")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (inaccessible(page), complaints) == ([], [])
    context.close()


def test_the_keyboard_reaches_everything_and_renames_a_class(recorded: Studying, browser: Browser) -> None:
    page = browser.new_page()
    opened(page, recorded)
    expect(page.locator("#hold")).to_be_enabled()
    assert unreached(page) == set()
    page.get_by_role("button", name="Rename one").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("uno")
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Takes of uno").locator("li")).to_have_count(2)
    page.close()


def test_takes_are_moved_and_deleted_by_keys(recorded: Studying, browser: Browser) -> None:
    page = browser.new_page()
    opened(page, recorded)
    recorded.take("zero")
    number = recorded.state()["project"]["takes"][0]["number"]
    strips = [page.locator(".class").nth(place).locator("li") for place in (0, 1)]
    expect(strips[0]).to_have_count(3)
    before = strips[1].count()
    page.get_by_role("button", name=f"Take {number},").focus()
    page.keyboard.press("2")
    expect(strips[1]).to_have_count(before + 1)
    page.get_by_role("button", name=f"Take {number},").focus()
    page.keyboard.press("Delete")
    expect(page.get_by_role("button", name="Really delete")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#take-actions")).to_be_hidden()
    page.get_by_role("button", name=f"Take {number},").click()
    assert inaccessible(page) == []
    page.keyboard.press("Delete")
    page.keyboard.press("Delete")
    expect(strips[1]).to_have_count(before)
    assert number not in [take["number"] for take in recorded.state()["project"]["takes"]]
    page.close()


def test_the_hardest_takes_are_listed_and_one_is_moved(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instant_head, "FITTING", "tests.apps.studio.fitter")
    with studying(tmp_path / "project", Steady("video"), options=()) as served:
        served.act("add_classes", names="clap, snap")
        number = served.take("clap")
        served.wait(lambda state: state["project"]["hardest"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        opened(page, served)
        page.get_by_text("The takes that it finds hardest").click()
        expect(page.locator("#hardest li")).to_have_text([f"Take {number} of clap: taken for snap"])
        assert inaccessible(page) == []
        page.locator("#hardest button").click()
        expect(page.locator(f"[data-number='{number}']")).to_be_focused()
        page.get_by_label("Move to").select_option("snap")
        expect(page.get_by_role("list", name="Takes of snap").locator("li")).to_have_count(1)
        page.close()


LISTED_TWICE = """async () => {
    const { Models } = await import("./models.js");
    const models = new Models(() => {}, {});
    const run = (number) => ({ number, done: true, phone: true, scores: null });
    const project = { runs: [run(1)], instant: null, live: null };
    const list = (more) => models.list({ ...project, ...more }, null);
    list({});
    const download = document.querySelector("#models details");
    download.open = true;
    list({ takes: [] });
    const stays = document.querySelector("#models details") === download;
    list({ runs: [run(2), run(1)] });
    return [stays, [...document.querySelectorAll("#models details")].map((one) => one.open)];
}"""


def test_a_menu_that_was_opened_stays_open_when_the_studio_reports(
    recorded: Studying, browser: Browser
) -> None:
    page = browser.new_page()
    opened(page, recorded)
    assert page.evaluate(LISTED_TWICE) == [True, [False, True]]
    page.close()


LEFT_EARLY = """async () => {
    const { RemoteGivers } = await import("./give.js");
    sessionStorage.setItem("given", '["text", "text-2"]');
    const givers = new RemoteGivers({ send() {} });
    const captions = { kind: "text", shape: [1], sensor: "captions", icon: "" };
    givers.offer(["text", "text-2"].map((modality) => ({ ...captions, modality })));
    givers.attend([]);
    givers.start({ id: 1, modality: "text", sensor: "captions" });
    return sessionStorage.getItem("given");
}"""


def test_a_page_that_is_left_before_all_sensors_are_given_hands_them_all_on(
    recorded: Studying, browser: Browser
) -> None:
    """On a busy machine, a page that was left early forgot the sensors that it had only asked for."""
    page = browser.new_page()
    opened(page, recorded)
    assert page.evaluate(LEFT_EARLY) == '["text","text-2"]'
    page.close()


@contextmanager
def sensing(playwright: Playwright, folder: Path, label: str) -> Iterator[Page]:
    """Open a browser whose camera and microphone show and play a class."""
    flags = devices(folder, label)
    with chromium(playwright, *flags) as browser:
        page = browser.new_context(permissions=["camera", "microphone"]).new_page()
        page.set_default_timeout(SLOW)
        yield page


def give(page: Page) -> None:
    page.get_by_role("button", name="Use this camera and microphone").click()
    expect(page.locator(".card.live")).to_have_count(2)


@pytest.mark.long
@pytest.mark.real
@pytest.mark.timeout(2 * TRAINED / 1000)
@pytest.mark.usefixtures("lowered_once")
def test_from_an_empty_folder_to_a_robust_live_model(playwright: Playwright, tmp_path: Path) -> None:
    with studying(tmp_path / "project", options=tiny("audio", "video")) as served:
        began = monotonic()
        with sensing(playwright, tmp_path, "zero") as page:
            complaints = opened(page, served)
            give(page)
            page.get_by_label("Name", exact=True).fill("zero, one")
            page.get_by_role("button", name="Add", exact=True).click()
            expect(page.get_by_label("zero", exact=True)).to_be_checked()  # added together
            record(page, "zero")
            assert complaints == []
        with sensing(playwright, tmp_path, "one") as page:
            complaints = opened(page, served)
            give(page)
            expect(page.get_by_role("button", name="Show one")).to_be_visible()
            record(page, "one")
            # It answers without training, and says how right it is.
            expect(page.locator("#label")).to_have_text(ONE, timeout=TRAINED)
            print(f"\nfrom nothing to a live model: {monotonic() - began:.0f} s")  # noqa: T201 - a measurement
            expect(page.locator("#evidence")).to_contain_text("by microphone and camera")
            expect(page.locator(".class .right").last).to_have_text(f"{TAKES} of {TAKES} right")
            assert inaccessible(page) == []
            began = monotonic()
            page.get_by_role("button", name="Make it robust").click()
            # What reads frozen encoders is learned within seconds: the break comes first.
            page.get_by_role("button", name="Cancel the training").click()
            expect(page.locator("#label")).to_have_text(ONE)
            assert inaccessible(page) == []
            page.get_by_role("button", name="Go on training model 1").click(timeout=TRAINED)
            expect(page.locator(".model").first).to_contain_text("answers now", timeout=TRAINED)
            print(f"from that to a robust one, with one break: {monotonic() - began:.0f} s")  # noqa: T201 - a measurement
            page.get_by_text("By sensor").first.click()
            expect(page.locator(".model table").first).to_contain_text("microphone + camera")
            expect(page.locator("#label")).to_have_text(ONE)
            send_to_a_phone(page)
            # The camera is pulled; the light moves, and the answer goes on.
            page.get_by_role("link", name="Live page").click()
            expect(page.locator("#lattice .lit")).to_contain_text("microphone + camera")
            page.get_by_role("link", name="Studio").click()
            expect(page.locator(".card.live")).to_have_count(2)
            page.locator("#sensors-panel summary").click()
            page.locator(".card[data-modality=video]").get_by_role("button", name="Unplug").click()
            expect(page.locator("#evidence")).to_contain_text("by microphone")
            expect(page.locator("#evidence")).not_to_contain_text("camera")
            expect(page.locator("#label")).to_have_text(ONE)
            page.get_by_role("link", name="Live page").click()
            expect(page.locator("#lattice .lit")).to_contain_text("microphone")
            expect(page.locator("#lattice .lit")).not_to_contain_text("camera")
            # The live page gives again only the sensors that are plugged in.
            expect(page.get_by_role("button", name="Unplug microphone of this computer")).to_be_visible()
            expect(page.get_by_role("button", name="Unplug camera of this computer")).to_have_count(0)
            assert complaints == []


def send_to_a_phone(page: Page) -> None:
    """Wait until a model is ready for phones; open the dialog with its address, and end that."""
    expect(page.locator("#next-step")).to_have_text("Send to my phone", timeout=TRAINED)
    page.locator("#next-step").click()
    expect(page.locator("#phone")).to_contain_text("https://")
    assert inaccessible(page) == []
    page.get_by_role("button", name="Stop serving it").click()
    expect(page.locator("#phone")).to_be_hidden()


def record(page: Page, label: str) -> None:
    """Record takes of a class: all but one in a row, hands free, and one while the space bar is held."""
    strip = page.get_by_role("list", name=f"Takes of {label}").locator("li")
    page.get_by_label(label, exact=True).check()
    page.get_by_label("Seconds of a take").fill("1")
    page.get_by_label("Takes in a row").fill(str(TAKES - 1))
    page.get_by_role("button", name="Record in a row").click()
    expect(page.locator("#screen.recording #countdown")).to_have_text("Recording")
    assert inaccessible(page) == []
    with explained(page):
        expect(strip).to_have_count(TAKES - 1)
    expect(page.locator("#over")).to_be_hidden()
    page.get_by_label(label, exact=True).check()
    page.locator("#hold").focus()
    page.keyboard.down(" ")
    expect(page.locator("#screen.recording")).to_be_visible()
    page.keyboard.up(" ")
    with explained(page):
        expect(strip).to_have_count(TAKES)


@contextmanager
def explained(page: Page) -> Iterator[None]:
    """Say what the page says of the last take, where the block fails."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"the page says: {page.locator('#failure').text_content()!r}")
        raise
