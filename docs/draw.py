"""Draw the sets of a bundle of three modalities, and an example under each condition of a camera."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sensemble_runtime import Bundle
from sensemble_runtime.subsets import parse, subsets
from sensemble_sensors import Applied, InputSpec, read_dataset
from sensemble_sensors.degraded import begin, captured, degraded_window
from sensemble_sensors.kinds.registry import kind_of

SECONDS = 8.0  # of the animation: all sensors, then without the camera, then with it again
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 300" role="img">
<title>The sets of three sensors. When one is unplugged, the answer comes from a set below.</title>
<style>
text {{ font: 15px system-ui, "Segoe UI", Roboto, sans-serif; text-anchor: middle; fill: #1c2024; }}
.score {{ font-size: 19px; font-weight: 650; }}
.node {{ fill: #f5f5f2; stroke: #b9beb8; stroke-width: 1.5; }}
.edge {{ stroke: #c9cdc8; stroke-width: 1.5; }}
.lit {{ fill: none; stroke: #1d5f8a; stroke-width: 4; }}
.before {{ animation: before {seconds:g}s step-end infinite; }}
.after {{ animation: after {seconds:g}s step-end infinite; }}
@keyframes before {{ 0% {{ opacity: 1; }} 40% {{ opacity: 0; }} 85% {{ opacity: 1; }} }}
@keyframes after {{ 0% {{ opacity: 0; }} 40% {{ opacity: 1; }} 85% {{ opacity: 0; }} }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #e7e9ea; }} .node {{ fill: #1c2024; stroke: #4a525a; }}
.edge {{ stroke: #4a525a; }} .lit {{ stroke: #7cc0ea; }} }}
@media (prefers-reduced-motion: reduce) {{ .before, .after {{ animation: none; }} .after {{ opacity: 0; }} }}
</style>
{shapes}
</svg>
"""


def lattice(bundle: Bundle) -> str:
    """Return the sets of a bundle's sensors as an SVG in which the most important one comes and goes."""
    scores = {parse(name): score.accuracy for name, score in bundle.manifest.audited.items()}
    rows = {size: [s for s in subsets(bundle.modalities) if len(s) == size] for size in (3, 2, 1)}
    places = {
        subset: (320 + 200 * (i - (len(row) - 1) / 2), 50 + 100 * (3 - size))
        for size, row in rows.items()
        for i, subset in enumerate(row)
    }
    every = max(scores, key=len)
    rest = tuple(m for m in every if m != every[-1])
    shapes = [
        f'<line class="edge" x1="{x}" y1="{y}" x2="{u}" y2="{v}"/>'
        for above, (x, y) in places.items()
        for below, (u, v) in places.items()
        if len(above) == len(below) + 1 and set(below) < set(above)
    ]
    for subset, (x, y) in places.items():
        shapes.append(f'<rect class="node" x="{x - 85}" y="{y - 32}" width="170" height="64" rx="10"/>')
        shapes.append(f'<text class="score" x="{x}" y="{y - 5}">{scores[subset]:.0%}</text>')
        shapes.append(f'<text x="{x}" y="{y + 18}">{" + ".join(subset)}</text>')
    for subset, when in ((every, "before"), (rest, "after")):
        x, y = places[subset]
        shapes.append(f'<rect class="lit {when}" x="{x - 85}" y="{y - 32}" width="170" height="64" rx="10"/>')
    x, y = places[rest]
    lost = f"{every[-1]} unplugged: {scores[every]:.0%} → {scores[rest]:.0%}"
    shapes.append(f'<text class="after" x="{x}" y="{y - 44}">{lost}</text>')
    return SVG.format(seconds=SECONDS, shapes="\n".join(shapes))


def conditions(clips: Path) -> Image.Image:
    """Return a picture of an example under each condition of a camera, at severities 1, 3 and 5."""
    spec = InputSpec("video", "uint8", (1, 1, 96, 96, 3), rate=1, window=1.0, hop=1.0, ttl=2.0)
    kind = kind_of(spec)
    example = next(e for e in read_dataset(clips).split("eval") if spec.modality in e.modalities)
    named = [condition for condition in kind.conditions if condition.name not in ("gaps", "clock", "swapped")]
    sheet = Image.new("RGB", (104 * len(named) - 8, 3 * 104 + 16), "white")
    for column, condition in enumerate(named):
        ImageDraw.Draw(sheet).text((104 * column + 2, 0), condition.name, fill="black", font_size=13)
        for row, severity in enumerate((1, 3, 5)):
            degraded = (Applied(spec.modality, condition, severity),)
            samples = kind.samples(example, captured(degraded, spec), 0.0)
            window = np.asarray(degraded_window(samples, spec, begin(degraded, spec)), np.uint8)
            sheet.paste(Image.fromarray(window[0, 0]), (104 * column, 18 + 104 * row))
    return sheet
