"""A student and its teacher on sets of other SNRs and tilt ranges than they were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from tomodistill.evaluation.calibration import Answers, calibration_error, reliability, share
from tomodistill.evaluation.table import Cell, Column, Interval, Link, Table
from tomodistill.inference.version import Manifest
from tomodistill.simulation.config import Range

# Items are drawn within a range, so that their own ends fall a little short of it.
_SNR_TOLERANCE, _TILT_TOLERANCE = 0.05, 0.5  # relative; degrees
_TRAINED, _OTHER = "yes", "no"  # whether on such data
_FRAME = "tab:orange"  # round what they were trained on
_COLUMNS = (
    Column("set"),
    Column("SNR"),
    Column("tilts"),
    Column("trained on"),
    Column("items", ","),
    Column("student accuracy", ".3f"),
    Column("teacher accuracy", ".3f"),
    Column("accuracy_rate", ".3f"),
)
_OF_CONFIDENCE = (Column("called unknown", ".3f"), Column("ECE", ".3f"))


@dataclass(frozen=True)
class Condition:
    """One SNR with one tilt range, and what the two networks reached on a set of such items."""

    data: Link  # the set
    snr: str  # as people write it: "0.05", "0.05..0.5"
    tilts: str
    trained_on: bool
    items: int
    student: Interval  # accuracy, 95 %
    teacher: Interval
    accuracy_rate: Interval  # the student's accuracy over the teacher's
    unknown: Interval | None = None  # share that the student called unknown, where it can
    ece: float | None = None  # of the student's probabilities, where they are calibrated


def trained_on(manifest: Manifest, *, snr: Range, tilt_range: tuple[float, float]) -> bool:
    """Whether the training data had this SNR and just this tilt range, in degrees."""
    ends = zip(tilt_range, manifest.tilt_range, strict=True)
    same_tilts = all(isclose(a, b, abs_tol=_TILT_TOLERANCE) for a, b in ends)
    low, high = manifest.snr_range
    within = low * (1 - _SNR_TOLERANCE) <= snr.low and snr.high <= high * (1 + _SNR_TOLERANCE)
    return same_tilts and within


def confidence(
    logits: NDArray[np.float32], labels: NDArray[np.int64], manifest: Manifest
) -> tuple[Interval | None, float | None]:
    """Of (n, classes) logits: share called unknown, and calibration error against (n,) labels.

    None for what the version does not have.
    """
    calibration, unknown = manifest.calibration, manifest.unknown
    temperature = calibration.temperature if calibration else 1.0
    rejected = error = None
    if unknown:
        rejected = share(unknown.rejects(unknown.scores(logits, temperature=temperature)))
    if calibration:
        error = calibration_error(reliability(Answers(logits, labels), temperature=temperature))
    return rejected, error


def robustness_table(conditions: Sequence[Condition]) -> Table:
    """One row for each condition; confidence only where the student has any."""
    confident = any(of.unknown is not None or of.ece is not None for of in conditions)
    columns = _COLUMNS + (_OF_CONFIDENCE if confident else ())
    return Table(columns, [_row(of)[: len(columns)] for of in conditions])


def _row(of: Condition) -> list[Cell]:
    trained_on = _TRAINED if of.trained_on else _OTHER
    accuracies = of.student, of.teacher, of.accuracy_rate
    return [of.data, of.snr, of.tilts, trained_on, of.items, *accuracies, of.unknown, of.ece]


def robustness_figure(conditions: Sequence[Condition], *, title: str) -> Figure:
    """Accuracy as a map for student and teacher: SNRs down, tilt ranges across.

    What they were trained on has a frame. `conditions` are every SNR with every tilt range.
    """
    snrs = list(dict.fromkeys(of.snr for of in conditions))
    tilts = list(dict.fromkeys(of.tilts for of in conditions))
    figure = Figure((3.0 + 1.8 * len(tilts), 2.0 + 0.5 * len(snrs)), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, role in zip(panels, ("student", "teacher"), strict=True):
        accuracies = np.empty((len(snrs), len(tilts)))
        for of in conditions:
            at = snrs.index(of.snr), tilts.index(of.tilts)
            accuracies[at] = getattr(of, role).value
            if of.trained_on:
                axes.add_patch(_frame(*at))
        _draw_map(axes, accuracies)
        axes.set_xticks(range(len(tilts)), tilts, fontsize=8)
        axes.set_title(f"{role} accuracy", fontsize=9)
        axes.set_xlabel("tilts")
    panels[0].set_yticks(range(len(snrs)), snrs, fontsize=8)
    panels[0].set_ylabel("SNR")
    return figure


def _frame(row: int, column: int) -> Rectangle:
    corner = column - 0.47, row - 0.45
    return Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=_FRAME, linewidth=2.5)


def _draw_map(axes: Axes, accuracies: np.ndarray) -> None:
    """(s, t) accuracies, shaded from 0 to 1."""
    axes.imshow(accuracies, "Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), accuracy in np.ndenumerate(accuracies):
        colour = "white" if accuracy > 0.55 else "black"
        axes.text(column, row, f"{accuracy:.3f}", ha="center", va="center", color=colour)
