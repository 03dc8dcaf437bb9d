"""Devices that come and go: real files, sockets and sound servers, and a camera folder as Linux keeps it."""

import os
import socket
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.discovery import Device, cameras, fresh_microphones
from sensemble_sensors.devices.registry import finders
from sensemble_sensors.devices.watcher import (
    Appeared,
    DeviceEvent,
    Disappeared,
    SearchFailed,
    Watcher,
    named_source,
)
from sensemble_sensors.errors import SensorUnavailableError

from tests.sensors.reading import free_port
from tests.sensors.studio import Specs
from tests.waiting import wait_until

pytestmark = pytest.mark.real

SoundServer = Any


def device(key: str) -> Device:
    return Device("video", key, f"camera {key}", key)


@given(st.lists(st.lists(st.one_of(st.none(), st.sets(st.sampled_from("abcd"))), min_size=2, max_size=2)))
def test_the_events_lead_from_the_devices_before_to_those_now(looks: list[list[set[str] | None]]) -> None:
    now: list[set[str] | None] = [set(), set()]

    def find(i: int) -> list[Device]:
        if now[i] is None:
            raise SensorUnavailableError("cannot look")
        return [device(f"{i}{key}") for key in sorted(now[i])]

    watcher = Watcher([lambda _: find(0), lambda _: find(1)], lambda _: None)
    believed: set[str] = set()
    truth: list[set[str]] = [set(), set()]
    blind = [False, False]
    for look in looks:
        now[:] = look
        items = watcher.search()
        for item in items:
            if isinstance(item, Appeared):
                assert item.device.key not in believed
                believed.add(item.device.key)
            elif isinstance(item, Disappeared):
                believed.remove(item.device.key)
        reported = [item for item in items if isinstance(item, SearchFailed)]
        assert len(reported) == sum(seen is None and not was for seen, was in zip(look, blind, strict=True))
        blind = [seen is None for seen in look]
        truth = [old if seen is None else seen for old, seen in zip(truth, look, strict=True)]
        assert believed == {f"{i}{key}" for i in (0, 1) for key in truth[i]}


def test_a_sound_card_that_is_in_use_and_the_default_next_to_another_have_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "_CONTROLS", tmp_path)
    (tmp_path / "controlC1").touch()
    card = Device("audio", "3", "Webcam: USB Audio (hw:1,0)", "Webcam: USB Audio")
    default, desk = (Device("audio", name, name, name) for name in ("default", "desk"))
    there = [card, default, desk]
    watcher = Watcher([lambda _: there], lambda _: None)
    assert len(watcher.search()) == 3
    there[:] = []  # PortAudio lists no card that is busy, and `inputs` no default beside another
    assert watcher.search() == [Disappeared(desk)]
    there[:] = [card, default]
    assert watcher.search() == []
    there[:] = []
    (tmp_path / "controlC1").unlink()
    assert watcher.search() == [Disappeared(card)]


def node(root: Path, number: int, name: str, index: int = 0) -> None:
    folder = root / "class" / "video4linux" / f"video{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "index").write_text(f"{index}\n")


def test_a_camera_is_known_again_though_its_number_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "by-id"
    links.mkdir()
    monkeypatch.setattr(discovery, "_SYS", tmp_path)
    monkeypatch.setattr(discovery, "_CAMERAS", (links, tmp_path / "by-path"))
    watcher = Watcher([cameras], lambda _: None)
    assert watcher.search() == []
    for number in (3, 7):
        node(tmp_path, number, "HD Webcam")
        node(tmp_path, number + 1, "HD Webcam", index=1)  # of metadata, not of pictures
        (links / "usb-HD-index0").symlink_to(f"/dev/video{number}")
        found = Device("video", str(number), "HD Webcam", str(links / "usb-HD-index0"))
        assert watcher.search() == [Appeared(found)]
        assert watcher.search() == []
        (links / "usb-HD-index0").unlink()
        for old in (tmp_path / "class" / "video4linux").glob("*"):
            old.rename(tmp_path / f"gone {old.name}")
        assert watcher.search() == [Disappeared(found)]
    node(tmp_path, 2, "nameless")
    node(tmp_path, 4, "half gone")
    (tmp_path / "class" / "video4linux" / "video4" / "name").unlink()
    (tmp_path / "class" / "video4linux" / "video5").mkdir()
    assert watcher.search() == [Appeared(Device("video", "2", "nameless", "2"))]


def test_a_look_that_is_under_way_when_the_watcher_closes_is_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    slow.chmod(0o700)
    monkeypatch.setattr(discovery.sys, "executable", str(slow))
    reported: list[DeviceEvent] = []
    watcher = Watcher([fresh_microphones], reported.append)
    watcher.start()
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    assert os.getsid(pid) == pid, "Ctrl-C in the terminal is not for it"
    watcher.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert reported == []


def test_errors_of_a_search_and_of_the_callback_are_reported() -> None:
    def leave(_: Event) -> list[Device]:
        raise SystemExit("no list")

    def hear(event: object) -> None:
        heard.append(event)
        if len(heard) == 2:
            raise SystemExit("no listener")

    heard: list[object] = []
    finders = [leave, lambda _: [Device("text", "a", "a", "a")]]
    with pytest.raises(SystemExit, match="no listener"), Watcher(finders, hear, interval=0.01) as watcher:
        wait_until(lambda: len(heard) == 2)
    assert heard == [SearchFailed("SystemExit: no list"), Appeared(Device("text", "a", "a", "a"))]
    watcher.close()


def test_a_camera_s_link_is_followed_when_it_is_opened(tmp_path: Path, specs: Specs) -> None:
    link = tmp_path / "usb-HD-index0"
    camera = Camera(link)
    with pytest.raises(SensorUnavailableError, match="there is no such file"):
        camera.open(specs["video"])
    link.symlink_to("/dev/video77")
    with pytest.raises(SensorUnavailableError, match="absent, or in use"):
        camera.open(specs["video"])


def test_a_network_camera_and_captions_come_and_go(tmp_path: Path) -> None:
    reported: list[DeviceEvent] = []
    file = tmp_path / "said.txt"
    port = free_port()
    address, lines = f"http://127.0.0.1:{port}/stream", f"tcp://127.0.0.1:{port}"
    finders = [named_source(address, "video"), *(named_source(one, "text") for one in (lines, str(file)))]
    with Watcher(finders, reported.append, interval=0.01):
        file.touch()
        wait_until(lambda: len(reported) >= 1)
        with socket.create_server(("127.0.0.1", port)):
            wait_until(lambda: len(reported) >= 3)
        wait_until(lambda: len(reported) >= 5)
        file.unlink()
        wait_until(lambda: len(reported) >= 6)
    events = [(type(item), item.device.key) for item in reported if not isinstance(item, SearchFailed)]
    kinds = {key: [kind for kind, of in events if of == key] for _, key in events}
    assert kinds == {key: [Appeared, Disappeared] for key in (str(file), address, lines)}


@pytest.mark.parametrize("address", ["http://", "gopher://127.0.0.1", "rtsp://127.0.0.1:99999/x", "nonsense"])
def test_an_address_that_is_none_is_never_there(address: str) -> None:
    assert named_source(address, "video")(Event()) == []


def test_a_machine_without_portaudio_is_blind_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real helper; its interpreter ends as Python does where PortAudio is missing.
    monkeypatch.setattr(discovery.sys, "executable", "/bin/false")
    (event,) = Watcher([fresh_microphones], lambda _: None).search()
    assert isinstance(event, SearchFailed)
    assert event.reason


def test_a_microphone_that_is_plugged_in_later_is_listed_afresh(sound_server: SoundServer) -> None:
    before = {device.key for device in fresh_microphones()}
    sound_server.plug("desk")
    assert {device.key for device in fresh_microphones()} - before == {"desk.monitor"}


def test_each_modality_of_a_kind_gets_a_camera_and_a_named_one_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, specs: Specs
) -> None:
    monkeypatch.setattr(discovery, "_SYS", tmp_path)
    monkeypatch.setattr(discovery, "_CAMERAS", (tmp_path / "by-id",))
    front, rear, night = (
        replace(specs["video"], modality=name, kind="frames")
        for name in ("video.front", "video.rear", "night")
    )
    (find,) = finders([rear, night], [(front, "0"), (specs["audio"], "1")])
    for number in range(3):
        node(tmp_path, number, "HD Webcam")
    assert [(one.modality, one.id) for one in find(Event())] == [("video.rear", "1"), ("night", "2")]
    (tmp_path / "class" / "video4linux" / "video1").rename(tmp_path / "gone")
    node(tmp_path, 3, "HD Webcam")
    assert [(one.modality, one.id) for one in find(Event())] == [("night", "2"), ("video.rear", "3")]
