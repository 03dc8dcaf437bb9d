"""Programs and libraries that some tests need beside what the README asks for, and how to install them."""

import os
import re
from collections.abc import Callable, Iterable
from ctypes.util import find_library
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from subprocess import DEVNULL, run

import pytest

JSON_JAR = Path("/usr/share/java/com.android.json.jar")
NODE_MODULES = Path(__file__).parents[1] / "apps/web/node_modules"
SERIES_SETS = Path(os.environ.get("AEON", "")) / "aeon" / "datasets" / "data"
WEBKIT = Path("/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser")
TIERS = ("real", "browser", "toolchain")
WEB_CHECKS = Path(os.environ.get("WEB_CHECKS", "")) / "node_modules"


@dataclass(frozen=True)
class Part:
    """A part that a test may need.

    Attributes:
        found: whether it is installed.
        tier: the marker of the tests that need it; "" where the default tier may use it.
        packages: Debian's packages that hold it, separated by spaces; none where only `.ci/run` installs it.
    """

    found: Callable[[], bool]
    tier: str
    packages: str = ""


def programs(*names: str) -> Callable[[], bool]:
    """Return a function that says whether all these programs are installed."""
    return lambda: all(map(which, names))


def can_unshare() -> bool:
    """Return whether this user may join network namespaces by a cable, as root may, but in few containers."""
    cable = ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"]
    return run(["unshare", "--net", "--mount", *cable], stderr=DEVNULL, check=False).returncode == 0


PARTS = {
    "chromium": Part(programs("/usr/bin/chromium"), "browser", "chromium"),
    "firefox-esr": Part(programs("firefox-esr"), "browser", "firefox-esr"),
    "kotlin": Part(
        lambda: "KOTLIN_COMPILER" in os.environ and JSON_JAR.exists() and programs("java")(), "toolchain"
    ),
    "libstdc++": Part(
        Path("/usr/aarch64-linux-gnu/include/c++/12").exists,
        "toolchain",
        "libstdc++-12-dev libstdc++-12-dev-arm64-cross",
    ),
    "mosquitto": Part(programs("/usr/sbin/mosquitto"), "real", "mosquitto"),
    "namespaces": Part(lambda: programs("ip", "unshare")() and can_unshare(), "real", "iproute2"),
    "pipewire": Part(
        programs("pipewire", "pipewire-pulse", "wireplumber"), "real", "pipewire pipewire-pulse wireplumber"
    ),
    "portaudio": Part(
        lambda: find_library("portaudio") is not None, "real", "libportaudio2 libasound2-plugins"
    ),
    "pulseaudio": Part(programs("pulseaudio", "pactl", "paplay"), "real", "pulseaudio pulseaudio-utils"),
    "aeon": Part((SERIES_SETS / "BasicMotions").exists, "real"),
    "pyarrow": Part(lambda: find_spec("pyarrow") is not None, ""),
    "rerun": Part(lambda: find_spec("rerun") is not None, ""),
    "spark": Part(lambda: find_spec("pyspark") is not None and programs("java")(), "real"),
    "swift": Part(programs("swiftc"), "toolchain"),
    "victoria-metrics": Part(programs("victoria-metrics"), "real", "victoria-metrics"),
    "web-app": Part(lambda: NODE_MODULES.exists() and programs("npm")(), "browser"),
    "webkit": Part(
        lambda: WEBKIT.exists() and programs("xvfb-run")(), "browser", "webkit2gtk-driver xvfb xauth"
    ),
    "web-checks": Part(lambda: WEB_CHECKS.exists() and programs("node")(), "browser"),
}


def need(*parts: str) -> None:
    """Skip the running test where one of these parts is not installed."""
    if missing := [part for part in parts if not PARTS[part].found()]:
        pytest.skip(f"needs {', '.join(missing)}")


def summary(reasons: Iterable[str]) -> str:
    """Return one line for all the skipped tests that need a part: how many there are, and what to install."""
    needed = [match[1].split(", ") for reason in reasons if (match := re.search(r"needs (.*)", reason))]
    missing = sorted({part for parts in needed for part in parts})
    packages = [PARTS[part].packages for part in missing if PARTS[part].packages]
    remedies = [f"apt-get install {' '.join(packages)}"] if packages else []
    if others := [part for part in missing if not PARTS[part].packages]:
        remedies.append(f"for {', '.join(others)} see .ci/run and CONTRIBUTING.md")
    return f"Skipped for want of parts, {len(needed)}: {'; '.join(remedies)}" if needed else ""
