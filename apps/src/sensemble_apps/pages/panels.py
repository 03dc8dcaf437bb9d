"""The panels of the paper's Figures 4, 5 and 6, for a page or a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sensemble_runtime.auditing.reliability import Bin

from sensemble_apps.pages.svg import BARS, GRID, INK, MARKERS, SERIES, Panel


@dataclass(frozen=True, slots=True)
class Series:
    """Scores as fractions by a number of modalities; None for a missing one.

    Attributes:
        label: its title.
        look: numbers its colour and marker.
        scores: by how many modalities there are, or are shared.
        partial: whether training sets are missing; then it is drawn dashed and hollow.
    """

    label: str
    look: int
    scores: Mapping[int, float | None]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Points:
    """Performance and robustness (Eq. 3, 4) of a method as fractions, by the abbreviation of M_T."""

    label: str
    look: int
    points: Mapping[str, tuple[float, float]]


def modalities_panel(key: str, series: Sequence[Series]) -> Panel:
    """Return Figure 4: performance with the same k modalities in both, a bar per pretraining."""
    sizes = sorted({k for bars in series for k in bars.scores})
    width = 0.8 / len(series)

    def draw(axes: Axes) -> None:
        for bars in series:
            for k, score in bars.scores.items():
                # Bars of the pretrainings that have this size are centred on its tick.
                with_size = [other for other in series if k in other.scores]
                x = sizes.index(k) + (with_size.index(bars) - (len(with_size) - 1) / 2) * width
                if score is None:
                    axes.text(x, 0, " not yet", rotation=90, ha="center", va="bottom", color=INK, size=8)
                    continue
                colour = BARS[bars.look % len(BARS)]
                axes.bar(x, 100 * score, 0.94 * width, color=colour, gid=f"{key}-bar-{bars.look}-{k}")
                axes.annotate(
                    f"{100 * score:.1f}", (x, 100 * score), (0, 2), textcoords="offset points",
                    ha="center", color=INK, size=9,
                )  # fmt: skip
        axes.set_xticks(range(len(sizes)), [_count(k) for k in sizes])
        axes.set_xlim(-0.5, len(sizes) - 0.5)
        axes.margins(y=0.1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("modalities in training and evaluation")
        axes.set_ylabel("Performance P, %")
        axes.grid(axis="y")

    return Panel(key, "Performance against the number of modalities", _described(series, sizes), draw)


def overlap_panel(key: str, title: str, series: Sequence[Series], top: float | None = None) -> Panel:
    """Return one panel of Figure 5: a score against |M_T ∩ M_E|, a line per method."""
    overlaps = sorted({k for line in series for k in line.scores}, reverse=True)

    def draw(axes: Axes) -> None:
        for line in series:
            known = [(k, score) for k in overlaps if (score := line.scores.get(k)) is not None]
            axes.plot(
                [overlaps.index(k) for k, _ in known],
                [100 * score for _, score in known],
                color=SERIES[line.look % len(SERIES)],
                marker=MARKERS[line.look % len(MARKERS)],
                markersize=6,
                markerfacecolor="none" if line.partial else None,
                linewidth=1.8,
                linestyle="--" if line.partial else "-",
                gid=f"{key}-line-{line.look}",
            )
        axes.set_xticks(range(len(overlaps)), [_count(k) for k in overlaps])
        axes.set_xlim(-0.35, len(overlaps) - 0.65)
        axes.set_ylim(bottom=0, top=None if top is None else 100 * top)
        axes.set_xlabel("sensors shared by training and evaluation")
        axes.set_ylabel(f"{title}, %")
        axes.grid(axis="y")

    return Panel(key, f"{title} against the number of shared sensors", _described(series, overlaps), draw)


def robustness_panel(
    key: str, series: Sequence[Points], trend: Callable[[float], float] | None = None
) -> Panel:
    """Return Figure 6: R against P, a point per M_T and a marker per method.

    A thin line joins each M_T of the first method to the same M_T of the last, which is labelled. `trend`
    maps P to R, both as fractions, and is drawn dashed.
    """

    def draw(axes: Axes) -> None:
        for group in series:
            axes.scatter(
                [100 * p for p, _ in group.points.values()],
                [100 * r for _, r in group.points.values()],
                color=SERIES[group.look % len(SERIES)],
                marker=MARKERS[group.look % len(MARKERS)],
                s=40,
                linewidths=0,
                gid=f"{key}-points-{group.look}",
            )
        first = series[0].points
        for label, (p, r) in series[-1].points.items():
            if label in first:
                start_p, start_r = first[label]
                axes.plot(
                    [100 * start_p, 100 * p], [100 * start_r, 100 * r],
                    color=INK, alpha=0.35, linewidth=0.8, zorder=0.8,
                )  # fmt: skip
            axes.annotate(
                label, (100 * p, 100 * r), (0, 5), textcoords="offset points",
                ha="center", color=INK, size=8,
            )  # fmt: skip
        if trend is not None:
            every = [p for group in series for p, _ in group.points.values()]
            ends = (min(every), max(every))
            axes.plot(
                [100 * p for p in ends],
                [100 * trend(p) for p in ends],
                color=INK, linewidth=1, linestyle=(0, (5, 4)), zorder=0.9, gid=f"{key}-trend",
            )  # fmt: skip
        axes.margins(0.12)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Performance P, %")
        axes.set_ylabel("Robustness R, %")
        axes.grid(color=GRID)

    described = "; ".join(
        f"{group.label}: "
        + ", ".join(f"{label} P {100 * p:.1f} % R {100 * r:.1f} %" for label, (p, r) in group.points.items())
        for group in series
    )
    return Panel(key, "Robustness against performance", described, draw)


def reliability_panel(key: str, title: str, bins: Sequence[Bin]) -> Panel:
    """Return a reliability diagram: how often answers are right, against the confidence that they state.

    A point is a bin of confidence, the larger the more answers it has, with the interval of its share that is
    right. Of answers that are right as often as they say, it lies on the dashed line.
    """
    most = max(one.n for one in bins)

    def draw(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=(0, (5, 4)), zorder=0.9)
        for one in bins:
            x = 100 * one.confidence
            axes.plot([x, x], [100 * one.low, 100 * one.high], color=BARS[0], linewidth=1.2)
        axes.scatter(
            [100 * one.confidence for one in bins],
            [100 * one.right for one in bins],
            s=[6 + 54 * one.n / most for one in bins],
            color=BARS[1],
            linewidths=0,
            zorder=3,
            gid=f"{key}-points",
        )
        axes.set_xlim(0, 103)
        axes.set_ylim(-3, 103)
        axes.set_xticks([0, 50, 100])
        axes.set_yticks([0, 50, 100])
        axes.set_aspect("equal")
        axes.set_xlabel("says, %")
        axes.set_ylabel("is right, %")
        axes.grid(color=GRID)

    described = "; ".join(
        f"says {100 * one.confidence:.0f} %: right {100 * one.right:.0f} % of {one.n} "
        f"({100 * one.low:.0f} to {100 * one.high:.0f})"
        for one in bins
    )
    return Panel(key, title, described, draw, (2.1, 2.1))


def _described(series: Sequence[Series], numbers: Sequence[int]) -> str:
    def score(one: Series, k: int) -> str:
        value = one.scores[k]
        return f"{_count(k)} {'not yet' if value is None else f'{100 * value:.1f} %'}"

    each = (f"{one.label}: {', '.join(score(one, k) for k in numbers if k in one.scores)}" for one in series)
    return "; ".join(each)


def _count(k: int) -> str:
    return ("none", "one", "two", "three")[k]
