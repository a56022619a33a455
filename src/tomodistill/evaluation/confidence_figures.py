"""Figures of confidence: reliability of the probabilities, scores of the known and the unknown."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from tomodistill.evaluation.calibration import Bin, calibration_error
from tomodistill.inference.confidence import Unknown

_COLOURS = {"as trained": "tab:gray", "calibrated": "tab:blue"}
_OF_SCORES = {"test": "tab:blue", "A": "tab:orange", "B": "tab:red"}
_KNOWN_OR_NOT = {"test": "test part", "A": "held out, A", "B": "held out, B"}
_SCORE_BINS = 30


def reliability_figure(parts: Mapping[str, Mapping[str, Sequence[Bin]]]) -> Figure:
    """Accuracy against confidence, a panel for each part: "as trained", "calibrated"."""
    figure = Figure((4.2 * len(parts), 4.2), layout="constrained")
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (part, found) in zip(panels, parts.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
        for name, bins in found.items():
            _reliability(axes, name, bins)
        one = next(iter(found.values()))
        items = sum(of.items for of in one)
        axes.set(xlabel="confidence", ylabel="accuracy, 95 % interval", aspect="equal")
        axes.set_title(f"{part}\n{items} items, {len(one)} bins of equal count", fontsize=9)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def unknown_figure(scores: Mapping[str, NDArray[np.float64]], unknown: Unknown) -> Figure:
    """Scores (n,) of "val", "test", "A" and "B" beside the threshold, and the ROC curves.

    A's curve is against the validation part, with which it chose; B's against the test part.
    """
    figure = Figure((10.0, 4.2), layout="constrained")
    of_scores, of_roc = figure.subplots(1, 2, width_ratios=(1.4, 1))
    _histograms(of_scores, scores, unknown)
    for name, known in (("A", "val"), ("B", "test")):
        _roc(of_roc, name, scores[known], scores[name], unknown)
    of_roc.axvline(
        unknown.measured["false_rejection"], color="black", linewidth=0.8, linestyle="--"
    )
    of_roc.set(xlabel="known called unknown", ylabel="unknown called unknown", aspect="equal")
    of_roc.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _reliability(axes: Axes, name: str, bins: Sequence[Bin]) -> None:
    value, low, high = np.array([of.accuracy for of in bins]).T
    ends = np.clip([value - low, high - value], 0, None)  # rounding may put an end past its value
    axes.errorbar(
        [of.confidence for of in bins],
        value,
        ends,
        color=_COLOURS[name],
        marker="o",
        markersize=4,
        capsize=2,
        linewidth=1,
        label=f"{name}: error (ECE) {calibration_error(list(bins)):.3f}",
    )


def _histograms(axes: Axes, scores: Mapping[str, NDArray[np.float64]], unknown: Unknown) -> None:
    """Shares of each group, since the groups differ in size."""
    shown = {name: scores[name] for name in _OF_SCORES}
    edges = np.histogram_bin_edges(np.concatenate(list(shown.values())), _SCORE_BINS)
    for name, of in shown.items():
        rejected = unknown.rejects(of).mean()
        axes.hist(
            of,
            edges.tolist(),
            weights=np.full(len(of), 1 / len(of)),
            histtype="step",
            linewidth=1.5,
            color=_OF_SCORES[name],
            label=f"{_KNOWN_OR_NOT[name]}: {len(of)} items, {rejected:.1%} rejected",
        )
    axes.axvline(unknown.threshold, color="black", linewidth=0.8, linestyle="--")
    axes.set(xlabel=f"score ({unknown.score}); below the line: unknown", ylabel="share of items")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1))


def _roc(
    axes: Axes,
    name: str,
    known: NDArray[np.float64],
    strange: NDArray[np.float64],
    unknown: Unknown,
) -> None:
    is_strange = np.repeat((False, True), (len(known), len(strange)))
    wrong, right, _ = roc_curve(is_strange, -np.concatenate([known, strange]))
    area = unknown.measured[f"auc_{name.lower()}"]
    label = f"{_KNOWN_OR_NOT[name]}: area {area:.3f}"
    axes.plot(wrong, right, color=_OF_SCORES[name], label=label)
