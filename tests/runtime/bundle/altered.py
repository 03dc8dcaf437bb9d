"""Changes to a bundle on the disk."""

from hashlib import sha256
from pathlib import Path


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def replace_file(folder: Path, name: str, data: bytes) -> None:
    """Put other contents in a file, with a manifest that vouches for them, as a wrong export would."""
    old = (folder / name).read_bytes()
    (folder / name).write_bytes(data)
    edit(folder, sha256(old).hexdigest(), sha256(data).hexdigest())
    edit(folder, f'"bytes": {len(old)},\n', f'"bytes": {len(data)},\n')
