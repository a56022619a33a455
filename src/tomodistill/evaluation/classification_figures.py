"""Pictures of a classification as data URIs, so that a page with them is one file."""

from base64 import b64encode
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tomodistill.evaluation.classification_counts import BINS, Confidences
from tomodistill.evaluation.set_figures import grey, mosaic, xy, xz

_BARS = 64  # at most, of the scores that there are
_BRIGHTEST = 0.998  # share of voxels that are neither black nor white
_QUALITY = 85  # of JPEG; slices are small and smooth
_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "tomodistill", "font.size": 8}


def confidence_pictures(
    confidences: Confidences, *, score: str, threshold: float | None
) -> list[str]:
    """Of each class histograms of probability and, where there are any, scores with the threshold.

    One axis of scores for all classes. Names are not drawn: they are strangers' text.
    """
    edges, scores = occupied(confidences, threshold)
    with mpl.rc_context(_STYLE):
        return [
            _svg(_histograms(of_probability, of_score, edges, score, threshold))
            for of_probability, of_score in zip(confidences.probabilities, scores, strict=True)
        ]


def occupied(
    confidences: Confidences, threshold: float | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(b + 1,) edges and (classes, b) counts of the scores that there are, b at most 64 or so.

    The threshold lies within.
    """
    edges, counts = confidences.score_edges, confidences.scores
    shown = counts.sum(axis=0) > 0
    if threshold is not None:
        shown[np.clip(np.searchsorted(edges, threshold) - 1, 0, len(shown) - 1)] = True
    first, last = np.flatnonzero(shown)[[0, -1]] if shown.any() else (0, 0)
    step = -(-(last + 1 - first) // _BARS)
    starts = np.arange(first, last + 1, step)
    grouped = np.add.reduceat(counts[:, : last + 1], starts, axis=1)
    return edges[np.append(starts, last + 1)], grouped


def reach(volumes: Iterable[NDArray[np.float32]]) -> float:
    """Of (d, d, d) volumes: what is white in their slices, so that these can be compared."""
    slices = [_central(volume) for volume in volumes]
    return float(np.quantile(np.abs(slices), _BRIGHTEST)) if slices else 0.0


def slices_picture(volume: NDArray[np.float32], white: float) -> str:
    """Central slices x–y and, beside it, x–z of (d, d, d); `white` as `reach` has it."""
    tiles = mosaic(grey(_central(volume)[None], white))
    return _jpeg(np.nan_to_num(tiles, nan=1.0))


def _central(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, d, d)."""
    return np.stack([xy(volume), xz(volume)])


def _histograms(
    probabilities: NDArray[np.int64],
    scores: NDArray[np.int64],
    edges: NDArray[np.float64],
    score: str,
    threshold: float | None,
) -> Figure:
    figure = Figure((3.6, 1.25), layout="constrained")
    of_probability, of_score = figure.subplots(1, 2)
    _bars(of_probability, probabilities, np.linspace(0, 1, BINS + 1), "probability", "tab:blue")
    if threshold is None:
        of_score.set_axis_off()
        return figure
    _bars(of_score, scores, edges, f"score ({score})", "tab:gray")
    of_score.axvline(threshold, color="tab:red", linewidth=1, linestyle="--")
    return figure


def _bars(
    axes: Axes,
    counts: NDArray[np.int64],
    edges: NDArray[np.float64],
    label: str,
    colour: str,
) -> None:
    axes.stairs(counts, edges, fill=True, color=colour)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, max(counts.max(), 1) * 1.05))
    axes.set_xlabel(label, labelpad=1)
    axes.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.spines[["top", "right"]].set_visible(False)


def _svg(figure: Figure) -> str:
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _uri("image/svg+xml", file)


def _jpeg(image: NDArray[np.float32]) -> str:
    """Of (h, w), 0 black, 1 white."""
    file = BytesIO()
    options = {"quality": _QUALITY}
    imsave(file, image, cmap="gray", vmin=0, vmax=1, format="jpeg", pil_kwargs=options)
    return _uri("image/jpeg", file)


def _uri(kind: str, file: BytesIO) -> str:
    return f"data:{kind};base64,{b64encode(file.getvalue()).decode()}"
