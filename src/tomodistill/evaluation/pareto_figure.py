"""The figure of a search: accuracy against speed, the Pareto front, names that cover nothing."""

from collections.abc import Collection, Sequence
from itertools import product

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from tomodistill.evaluation.pareto import Point, front

_TEACHER, _CHOSEN, _OTHER = "tab:gray", "tab:red", "tab:blue"
_MARKER = 9.0  # points, edge of the square around a marker that names keep clear of
_REACHES = (7.0, 16.0, 28.0, 42.0, 58.0)  # points from marker to name, the nearest first
# Where a name may lie: the direction, and the alignment that keeps the name away from its marker.
_SIDES = (
    ((1.0, 0.0), "left", "center"),
    ((-1.0, 0.0), "right", "center"),
    ((0.7, 0.7), "left", "bottom"),
    ((0.7, -0.7), "left", "top"),
    ((-0.7, 0.7), "right", "bottom"),
    ((-0.7, -0.7), "right", "top"),
    ((0.0, 1.0), "center", "bottom"),
    ((0.0, -1.0), "center", "top"),
)


def pareto_figure(
    points: Sequence[Point], *, teacher: str, chosen: str, named: Collection[str] = ()
) -> Figure:
    """Validation accuracy with its 95 % interval against speedup, which is logarithmic.

    `teacher`, `chosen` and those `named` have their names beside them; the line is the front.
    """
    figure = Figure((8.0, 5.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", xlabel="speedup (teacher = 1)")
    axes.set_ylabel("validation accuracy, 95 % interval")
    colours = {teacher: _TEACHER, chosen: _CHOSEN}
    for point in points:
        _draw(axes, point, colours.get(point.network, _OTHER))
    line = _draw_front(axes, front(points))
    axes.scatter([], [], color=_CHOSEN, label="chosen")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.15, y=0.15)  # room for the names
    figure.legend(loc="outside upper right", ncols=2, frameon=False, fontsize=8)
    shown = {teacher, chosen, *named}
    _write_names(axes, points, [point for point in points if point.network in shown], line)
    return figure


def _draw(axes: Axes, point: Point, colour: str) -> None:
    at, (accuracy, low, high) = point.speedup.value, point.accuracy
    bars = [[accuracy - low], [high - accuracy]]
    axes.errorbar(at, accuracy, bars, color=colour, alpha=0.3, capsize=2, linewidth=1, zorder=1)
    axes.scatter(at, accuracy, 30, color=colour, zorder=3)


def _draw_front(axes: Axes, best: Sequence[Point]) -> Line2D:
    x, y = zip(*((point.speedup.value, point.accuracy.value) for point in best), strict=True)
    return axes.plot(x, y, color="black", linewidth=1, label="Pareto front", zorder=2)[0]


def _write_names(axes: Axes, points: Sequence[Point], shown: Sequence[Point], line: Line2D) -> None:
    """Each at the nearest place where it covers no marker, no other name and not the `line`."""
    figure = axes.get_figure(root=True)
    assert figure is not None  # axes without one cannot be drawn on
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()  # lays out: from here on the axes stay where they are
    figure.set_layout_engine("none")
    taken = [_around(axes, point) for point in points]
    path = line.get_path().transformed(axes.transData)
    for point in shown:
        taken.append(_write_name(axes, point, taken, path, renderer))


def _around(axes: Axes, point: Point) -> Bbox:
    """A marker's place, in pixels."""
    x, y = axes.transData.transform((point.speedup.value, point.accuracy.value))
    half = axes.figure.dpi / 72 * _MARKER / 2
    return Bbox.from_extents(x - half, y - half, x + half, y + half)


def _write_name(
    axes: Axes, point: Point, taken: Sequence[Bbox], line: Path, renderer: RendererAgg
) -> Bbox:
    """The place it got, in pixels; the last that was tried where all cover something."""
    name = axes.annotate(
        point.network,
        (point.speedup.value, point.accuracy.value),
        (0, 0),
        textcoords="offset points",
        fontsize=8,
        arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkB": 3},
    )
    for reach, ((x, y), ha, va) in product(_REACHES, _SIDES):
        name.set(x=reach * x, y=reach * y, ha=ha, va=va)
        name.update_positions(renderer)
        place = Text.get_window_extent(name, renderer)  # without the line that leads to it
        free = not place.count_overlaps(taken) and not line.intersects_bbox(place, filled=False)
        if free and axes.bbox.contains(*place.min) and axes.bbox.contains(*place.max):
            break
    return place
