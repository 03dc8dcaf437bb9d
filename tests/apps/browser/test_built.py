"""The page that ships is what its source gives."""

import subprocess
from pathlib import Path

import pytest
from sensemble_apps.web.site import APP

from .hosting import WEB


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.needs("web-app")
def test_a_fresh_build_equals_it(tmp_path: Path) -> None:
    command = ["npx", "vite", "build", "--logLevel", "error", "--outDir", tmp_path]
    subprocess.run(command, cwd=WEB, check=True)
    fresh, ships = contents(tmp_path), contents(APP)
    assert fresh.keys() == ships.keys(), "run `npm install && npm run build` in apps/web, and commit it"
    assert [name for name in fresh if fresh[name] != ships[name]] == []


def test_nothing_in_it_is_fetched_from_elsewhere() -> None:
    for name, content in contents(APP).items():
        if name.endswith((".html", ".css")):
            assert b"https://" not in content.replace(b"https:;", b"").replace(b'placeholder="https://"', b"")
