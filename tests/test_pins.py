"""The installed packages are the committed ones, on every Python, and so those that a newcomer gets."""

import sysconfig
import tomllib
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from . import pin

UV = tomllib.loads((pin.ROOT / "pyproject.toml").read_text())["tool"]["uv"]
BY_MACHINE = "av==1 ; python_full_version < '3.12'"


def versions(key: str) -> dict[str, str]:
    """The version that each package is pinned to on this Python."""
    pins = [Requirement(line) for line in UV[key]]
    here = [one for one in pins if one.marker is None or one.marker.evaluate()]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in here}


def test_every_installed_package_is_of_the_version_that_is_pinned() -> None:
    # Not sys.path: setuptools, once imported, adds the packages that it carries inside it.
    installed = distributions(path=[sysconfig.get_path("purelib")])
    found = {canonicalize_name(one.name): one.version for one in installed}
    others = {name: version for name, version in found.items() if not name.startswith("sensemble")}
    pinned = versions(pin.RUN)
    assert {
        name: (version, pinned.get(name)) for name, version in others.items() if version != pinned.get(name)
    } == {}


def test_what_a_build_needs_is_pinned_to_the_same_versions() -> None:
    build, run = versions(pin.BUILD), versions(pin.RUN)
    assert {Requirement(line).name for line in pin.build_requirements()} <= build.keys()
    assert all(run.get(name, version) == version for name, version in build.items())


@pytest.mark.parametrize("key", [pin.RUN, pin.BUILD])
def test_a_pin_has_a_name_and_a_version_and_no_host(key: str) -> None:
    for line in UV[key]:
        assert [one.operator for one in Requirement(line).specifier] == ["=="]
        assert Requirement(line).url is None


def test_a_marker_stands_only_where_versions_differ() -> None:
    text = "[tool.uv]\npins = [\n]\nlast = 1\n"
    written = pin.with_pins(
        text, "pins", [BY_MACHINE, BY_MACHINE.replace("1 ; ", "2 ; "), "cv==3 ; a == 'b'"]
    )
    pins = tomllib.loads(written)["tool"]["uv"]["pins"]
    assert pins == [BY_MACHINE, BY_MACHINE.replace("1 ; ", "2 ; "), "cv==3"]
    assert written.endswith("last = 1\n")
