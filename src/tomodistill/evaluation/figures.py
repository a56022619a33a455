"""Figures as values: each function returns a Matplotlib figure, nothing is shown or written."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tomodistill.evaluation.comparison import CONTROL, Result, label_pairs

_COLOURS = {"train": "tab:gray", "val": "tab:blue"}
_OF_LABELS = {"teacher": "tab:gray", "hard labels": "tab:orange", "soft labels": "tab:blue"}
_LARGEST_BUBBLE, _SMALLEST_BUBBLE = 2500, 12  # square points
_LIFTS = (22, 0, -22)  # points, of names in turn: networks may be alike


def confusion_figure(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """(classes, classes) counts, rows true, columns decided, shaded by share of the row."""
    side = max(4.0, 0.45 * len(class_names) + 2.5)
    figure = Figure((side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(confusion / confusion.sum(axis=1, keepdims=True).clip(1), "Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        if count:
            colour = "white" if count > 0.6 * confusion[row].sum() else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    ticks = range(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(ticks, class_names, fontsize=8)
    axes.set(xlabel="decided", ylabel="true")
    return figure


def curves_figure(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Learning curves, "train/loss", "val/accuracy", ...: one panel for each measure."""
    measures = sorted({name.split("/")[1] for name in curves})
    figure = Figure((4.0 * len(measures), 3.2), layout="constrained")
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    for axes, measure in zip(panels, measures, strict=True):
        for part, colour in _COLOURS.items():
            values = curves.get(f"{part}/{measure}", ())
            axes.plot(range(1, len(values) + 1), values, color=colour, label=part, marker=".")
        axes.set(xlabel="epoch", ylabel=measure)
        axes.legend(frameon=False)
    return figure


def comparison_figure(results: Sequence[Result]) -> Figure:
    """Accuracy against speed: bubble area = parameters; an arrow from hard to soft labels."""
    figure = Figure((7.5, 4.8), layout="constrained")
    axes = figure.subplots()
    largest = max(of.metrics["cost/parameters"] for of in results)
    names = list(dict.fromkeys(of.network for of in results))
    for of in results:
        lift = _LIFTS[names.index(of.network) % len(_LIFTS)]
        _bubble(axes, of, area=_LARGEST_BUBBLE * of.metrics["cost/parameters"] / largest, lift=lift)
    for hard, soft in label_pairs(results):
        ends = [(of.speedup.value, of.accuracy.value) for of in (hard, soft)]
        axes.annotate("", ends[1], ends[0], arrowprops={"arrowstyle": "->", "shrinkB": 4})
    for control in {of.metrics[CONTROL] for of in results if CONTROL in of.metrics}:
        axes.axhline(control, color="gray", linestyle=":", label="power spectrum alone", zorder=0)
    axes.set(xlabel="speedup (teacher = 1)", ylabel="test accuracy, 95 % interval")
    for name, colour in _OF_LABELS.items():
        axes.scatter([], [], color=colour, label=name)
    axes.legend(frameon=False, fontsize=8)
    axes.margins(x=0.3, y=0.2)  # room for the names
    return figure


def _bubble(axes: Axes, of: Result, *, area: float, lift: float) -> None:
    colour = _OF_LABELS["teacher" if of.role == "teacher" else f"{of.labels} labels"]
    at, (accuracy, low, high) = of.speedup.value, of.accuracy
    area = max(area, _SMALLEST_BUBBLE)
    axes.errorbar(at, accuracy, [[accuracy - low], [high - accuracy]], color=colour, capsize=2)
    axes.scatter(at, accuracy, area, color=colour, alpha=0.6)
    if of.labels == "soft" or of.role == "teacher":
        label = f"{of.network}\n{of.metrics['cost/parameters']:,.0f} parameters"
        beside = ((area / np.pi) ** 0.5 + 5, lift)  # points: the bubble's radius and a little
        axes.annotate(
            label, (at, accuracy), beside, textcoords="offset points", va="center", fontsize=8
        )
