"""The studio in a real browser: from an empty folder to a live model of its own camera and microphone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.apps.chromium import (
    SCHEMES,
    SLOW,
    WIDTHS,
    chromium,
    complaining,
    devices,
    film,
    inaccessible,
    sound,
    unreached,
)

from .studying import Steady, Studying, studying

pytestmark = pytest.mark.needs("chromium")

TAKES = 4  # of each class
TRAINED = 900_000  # milliseconds; a busy machine is no failure
expect.set_options(timeout=SLOW)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studying]:
    """A studio with two takes of each of two classes, and both sensors."""
    camera, microphone = Steady("video"), Steady("audio")
    with studying(tmp_path_factory.mktemp("studio") / "project", camera, microphone) as served:
        for label in ("zero", "one"):
            camera.label = microphone.label = label
            served.act("add_class", name=label)
            for _ in range(2):
                served.take(label)
        yield served


def opened(page: Page, served: Studying) -> list[str]:
    """Open the studio; give what the console complains about."""
    complaints = complaining(page)
    page.goto(f"{served.origin}/")
    expect(page.locator("#connection")).to_have_text("connected")
    return complaints


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_fits_complains_of_nothing_and_axe_finds_nothing(
    recorded: Studying, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    complaints = opened(page, recorded)
    expect(page.locator(".takes img")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (inaccessible(page), complaints) == ([], [])
    context.close()


def test_the_keyboard_reaches_everything_and_renames_a_class(recorded: Studying, browser: Browser) -> None:
    page = browser.new_page()
    opened(page, recorded)
    expect(page.locator("#record")).to_be_enabled()
    assert unreached(page) == set()
    page.get_by_role("button", name="Rename one").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("uno")
    page.keyboard.press("Enter")
    expect(page.locator("#takes")).to_contain_text("uno")
    page.close()


def test_a_take_is_deleted_at_the_second_press(recorded: Studying, browser: Browser) -> None:
    page = browser.new_page()
    opened(page, recorded)
    recorded.take("zero")
    number = recorded.state()["project"]["takes"][0]["number"]
    page.get_by_role("button", name=f"Delete take {number}").click()
    page.get_by_role("button", name=f"Really delete take {number}").click()
    expect(page.get_by_role("button", name=f"take {number}")).to_have_count(0)
    assert number not in [take["number"] for take in recorded.state()["project"]["takes"]]
    page.close()


@contextmanager
def sensing(playwright: Playwright, folder: Path, label: str) -> Iterator[Page]:
    """Open a browser whose camera and microphone show and play a class."""
    flags = devices(film(folder / f"{label}.y4m", label), sound(folder / f"{label}.wav", label))
    with chromium(playwright, *flags) as browser:
        yield browser.new_context(permissions=["camera", "microphone"]).new_page()


def give(page: Page) -> None:
    page.get_by_role("button", name="Give this camera").click()
    page.get_by_role("button", name="Give this microphone").click()
    expect(page.locator(".card.live")).to_have_count(2)


@pytest.mark.slow
@pytest.mark.timeout(2 * TRAINED / 1000)
def test_from_an_empty_folder_to_a_live_model(playwright: Playwright, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    with studying(folder) as served:
        for label in ("zero", "one"):
            with sensing(playwright, tmp_path, label) as page:
                complaints = opened(page, served)
                assert inaccessible(page) == []
                page.get_by_label("Name", exact=True).fill(label)
                page.get_by_role("button", name="Add the class").click()
                page.get_by_label(label, exact=True).check()
                give(page)
                page.get_by_label("Seconds").fill("1")
                for number in range(TAKES):
                    page.get_by_role("button", name="Record", exact=True).click()
                    if number == 0:
                        expect(page.locator("#countdown")).to_have_text("Recording")
                        assert inaccessible(page) == []
                    expect(page.locator("#takes .group").last.locator("li")).to_have_count(number + 1)
                expect(page.locator("#class-list")).to_contain_text(f"{TAKES} takes, {TAKES} s")
                assert complaints == []
        with sensing(playwright, tmp_path, "one") as page:
            complaints = opened(page, served)
            give(page)
            page.get_by_role("button", name="Hold these takes out").click()
            expect(page.locator("#divided")).to_have_text("They are held out.")
            page.get_by_role("button", name="Train a model").click()
            expect(page.locator("#training-words")).to_contain_text("pretrain", timeout=TRAINED)
            page.get_by_role("button", name="Cancel the training").click()
            expect(page.locator("#training-words")).to_contain_text("was cancelled")
    # It is closed, and opened again.
    with studying(folder) as served, sensing(playwright, tmp_path, "one") as page:
        complaints = opened(page, served)
        give(page)
        page.get_by_role("button", name="Go on training model 1").click()
        expect(page.locator("#curves figure").first).to_contain_text("pretrain: loss", timeout=TRAINED)
        assert inaccessible(page) == []
        expect(page.locator("#training-words")).to_contain_text("trained and exported", timeout=TRAINED)
        expect(page.locator(".run table")).to_contain_text("audio + video")
        assert inaccessible(page) == []
        page.get_by_role("button", name="Open the live page with model 1").click()
        expect(page.locator("#evidence")).to_contain_text("from audio, video")
        expect(page.locator("#classes li").first).to_contain_text("one")
        page.get_by_role("link", name="Studio").click()
        expect(page.locator(".card.live")).to_have_count(2)
        expect(page.get_by_role("link", name="Live page")).to_be_visible()
        assert complaints == []
