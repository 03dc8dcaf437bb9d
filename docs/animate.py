"""Draw a replay in the terminal's live view as an animated SVG: `live.svg`, the picture of README.md.

    uv run python docs/animate.py BUNDLE CLIPS docs/live.svg

plays twelve examples while sensors are unplugged and plugged back, and keeps three pictures a second.
"""

import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

import rich
from rich.console import Console, RenderableType
from sensemble_apps.commands.run import Run, play
from sensemble_apps.running import terminal
from sensemble_apps.running.view_events import Change
from sensemble_runtime import Bundle

COLUMNS, ROWS = 64, 16
STEP = 1 / 3  # seconds between two pictures
LAST = 3.0  # seconds that the last one stays
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">
<title>{command}</title>
<style>
text {{ font: 20px "Fira Code", "DejaVu Sans Mono", Menlo, Consolas, monospace; white-space: pre; }}
.picture {{ visibility: hidden; }}
@media (prefers-reduced-motion: reduce) {{ .picture {{ animation: none !important; }}
.picture:last-of-type {{ visibility: visible; }} }}
{styles}
</style>
<rect width="100%" height="100%" rx="8" fill="#292929"/>
<text x="20" y="32" fill="#9aa7b4">$ {command}</text>
<g transform="translate(12 50)">
{pictures}
</g>
</svg>
"""


class Screen:
    """Stands for `rich.live.Live`: keeps each picture instead of printing it."""

    pictures: ClassVar[list[RenderableType]] = []

    def __init__(self, *, get_renderable: Callable[[], RenderableType], **_: object) -> None:
        self._picture = get_renderable

    def refresh(self) -> None:
        """Keep the picture of now."""
        self.pictures.append(self._picture())


def main(path: Path, clips: Path, out: Path) -> None:
    """Play, and write the picture."""
    bundle = Bundle.open(path)
    arguments = Run(bundle=path, replay=clips, unplug=True, examples=12)
    times: list[float] = []
    rich.reconfigure(width=COLUMNS, height=ROWS, file=StringIO())
    with patch.object(terminal, "Live", Screen):
        view = terminal.TerminalView(bundle)
        for item in play(arguments, bundle):
            if isinstance(item, Change) and item.kind == "ended":
                break
            view.show(item)
            times.append(item.time)
    # The last picture of each step, so that a change and the prediction after it are one.
    slots = {int(time / STEP): picture for time, picture in zip(times, Screen.pictures, strict=True)}
    out.write_text(
        animated(slots, f"sensemble run {path.name} --replay {clips.name} --unplug"), encoding="utf-8"
    )


def animated(slots: dict[int, RenderableType], command: str) -> str:
    """Return an SVG that shows each picture from its step until the next one's."""
    starts = sorted(slots)
    total = (starts[-1] - starts[0]) * STEP + LAST
    styles, pictures = [], []
    for number, start in enumerate(starts):
        console = Console(
            width=COLUMNS, record=True, file=StringIO(), force_terminal=True, color_system="truecolor"
        )
        console.print(slots[start])
        css, backgrounds, matrix = console.export_svg(
            code_format="{styles}\0{backgrounds}\0{matrix}", unique_id=f"p{number}"
        ).split("\0")
        begin, end = (
            100 * (step - starts[0]) * STEP / total
            for step in (start, [*starts, starts[0] + total / STEP][number + 1])
        )
        frames = f"{begin:.2f}% {{ visibility: visible; }}" + (
            f" {end:.2f}% {{ visibility: hidden; }}" if end < 100 else ""
        )
        hidden = "" if begin == 0 else "0% { visibility: hidden; } "
        styles += [css, f"@keyframes k{number} {{ {hidden}{frames} }}"]
        styles.append(f"#p{number} {{ animation: k{number} {total:.2f}s step-end infinite; }}")
        body = re.sub(r' clip-path="[^"]*"', "", backgrounds + matrix)
        pictures.append(f'<g class="picture" id="p{number}">{body}</g>')
    return SVG.format(
        width=COLUMNS * 12.2 + 24,
        height=ROWS * 24.4 + 60,
        command=command,
        styles="\n".join(styles),
        pictures="\n".join(pictures),
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
