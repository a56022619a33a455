"""Pictures of sets: of simulated ones from items taken apart into signal and noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import fft

from tomodistill.evaluation.baseline import radial_power
from tomodistill.simulation.optics import frequency_grid, low_pass

BAND = 40.0  # Å, to which the paper's group filters: in print, noise up to Nyquist hides the rest
_ROWS = 12  # classes below each other
_TILE, _NAME = 0.72, 2.2  # inches: of a slice, and room for a name
_BRIGHTEST = 0.998  # share of voxels that are neither black nor white
_SEEN = f"to {BAND:g} Å"
_OF_CLASS = (
    "signal\nx–y",
    "item\nx–y",
    f"{_SEEN}\nx–y",
    "signal\nx–z",
    f"{_SEEN}\nx–z",
    "another\nx–y",
)
_OF_GRID = ("x–y", f"{_SEEN}, x–y", f"{_SEEN}, x–z")

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Preview:
    """A few items of each class of a set, taken apart: both (c, k, d, d, d)."""

    class_names: tuple[str, ...]  # (c,)
    signal: Array
    noise: Array
    voxel_spacing: float  # Å
    tilt_range: tuple[float, float]  # degrees


def montage_figure(preview: Preview, *, title: str) -> Figure:
    """Central slices of each class, and below them power spectra and the missing wedge.

    A row shows one item: its signal, what is stored, and that low-passed to 40 Å; then signal and
    item across the tilt axis, where the wedge stretches things along the beam (up). The last slice
    is of another item.
    """
    names = preview.class_names
    columns = ceil(len(names) / _ROWS)
    rows = ceil(len(names) / columns)
    width = max(columns * (_NAME + len(_OF_CLASS) * _TILE), 9.0)
    figure = Figure((width, rows * _TILE + 5.0), layout="constrained")
    figure.suptitle(title, fontsize=11)
    heights = (rows * _TILE + 0.8, 3.8)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    tiles = _class_tiles(preview)
    for column, axes in enumerate(above.subplots(1, columns, squeeze=False)[0]):
        chosen = slice(column * rows, (column + 1) * rows)
        _show_tiles(axes, tiles[chosen], rows=names[chosen], columns=_OF_CLASS)
    spectra, wedge = below.subplots(1, 2, width_ratios=(1.5, 1))
    _draw_spectra(spectra, preview)
    _draw_wedge(wedge, preview)
    return figure


def items_figure(
    items: Array, *, class_names: Sequence[str], voxel_spacing: float, title: str
) -> Figure:
    """Central slices of items (c, k, d, d, d), a row for each class; of sets not taken apart.

    The first item as it is stored, then all of them low-passed to 40 Å, along the beam; the first
    across the tilt axis at last. `voxel_spacing` in Å.
    """
    count = items.shape[1]
    flat = items.reshape(-1, *items.shape[2:])
    seen = _low_passed(flat - flat.mean(axis=(1, 2, 3), keepdims=True), voxel_spacing)
    seen = seen.reshape(items.shape)
    shown = [_of_each(xy(items[:, 0])), *(_of_each(xy(seen[:, k])) for k in range(count))]
    tiles = np.stack([*shown, _of_each(xz(seen[:, 0]))], axis=1)
    columns = ("stored\nx–y", *[f"{_SEEN}\nx–y"] * count, f"{_SEEN}\nx–z")
    size = len(columns) * _TILE + _NAME, len(class_names) * _TILE + 1.5
    figure = Figure(size, layout="constrained")
    figure.suptitle(title, fontsize=11)
    _show_tiles(figure.subplots(), tiles, rows=class_names, columns=columns)
    return figure


def grid_figure(
    signal: Array,
    items: Array,
    *,
    snrs: Sequence[str],
    tilts: Sequence[str],
    voxel_spacing: float,
    title: str,
) -> Figure:
    """One particle as every set of a grid has it: signal (t, d, d, d), items (s, t, d, d, d).

    A row for each of s SNRs below the signal, three slices for each of t tilt ranges: what is
    stored, and that low-passed to 40 Å, along the beam and across the tilt axis (the beam up).
    `voxel_spacing` in Å.
    """
    rows = ("signal", *(f"SNR {snr}" for snr in snrs))
    columns = [f"{tilt}\n{slice}" for tilt in tilts for slice in _OF_GRID]
    tiles = np.stack(
        [_row(signal, signal), *(_row(of, _low_passed(of, voxel_spacing)) for of in items)]
    )
    figure = Figure((1.1 * len(columns) + 1.2, 1.1 * len(rows) + 1.0), layout="constrained")
    figure.suptitle(title, fontsize=11)
    _show_tiles(figure.subplots(), tiles, rows=rows, columns=columns)
    return figure


def xy(volumes: Array) -> Array:
    """(..., y, x) of (..., d, d, d): central slices that the beam passes straight at no tilt."""
    return volumes[..., volumes.shape[-1] // 2, :, :]


def xz(volumes: Array) -> Array:
    """(..., z, x) of (..., d, d, d): central slices across the tilt axis; the beam runs up."""
    return volumes[..., ::-1, volumes.shape[-1] // 2, :]


def grey(images: Array, reach: float | NDArray[np.floating]) -> Array:
    """Any shape: from 0 (black) at −reach to 1 (white) at +reach."""
    return np.clip(0.5 + 0.5 * images / np.where(reach > 0, reach, 1), 0, 1).astype(np.float32)


def mosaic(tiles: Array) -> Array:
    """(r (d + 1) − 1, c (d + 1) − 1) of (r, c, d, d), NaN between them."""
    rows, columns, edge = tiles.shape[:3]
    framed = np.full((rows, columns, edge + 1, edge + 1), np.nan, np.float32)
    framed[:, :, :edge, :edge] = tiles
    return framed.swapaxes(1, 2).reshape(rows * (edge + 1), -1)[:-1, :-1]


def wedge_plane(volumes: Array) -> NDArray[np.float64]:
    """(d, d) kz, kx: mean log10 power of (n, d, d, d) in the plane across the tilt axis.

    Zero frequency at d // 2. A Hann window keeps the borders of the box from filling the wedge.
    """
    projected = volumes.sum(axis=2, dtype=np.float64)  # (n, z, x): projection-slice theorem
    window = np.hanning(volumes.shape[-1] + 2)[1:-1]
    power = np.abs(np.fft.fft2(projected * np.outer(window, window))) ** 2
    logarithm = np.log10(power + np.finfo(np.float32).tiny)
    return np.asarray(np.fft.fftshift(logarithm.mean(axis=0)))


def _class_tiles(preview: Preview) -> Array:
    """(c, s, d, d): one grey scale for what is stored, so that classes can be compared."""
    signal, items = preview.signal[:, 0], preview.signal + preview.noise
    first, another = items[:, 0], items[:, -1]
    seen = _low_passed(first, preview.voxel_spacing)
    largest = np.abs(signal).max(axis=(1, 2, 3))[:, None, None]
    of_items, of_seen = _reach(items), _reach(seen)
    columns = [
        grey(xy(signal), largest),
        grey(xy(first), of_items),
        grey(xy(seen), of_seen),
        grey(xz(signal), largest),
        grey(xz(seen), of_seen),
        grey(xy(another), of_items),
    ]
    return np.stack(columns, axis=1)


def _row(items: Array, seen: Array) -> Array:
    """(3 t, d, d) grey values of volumes (t, d, d, d) as they are stored, and low-passed."""
    slices = [grey(xy(items), _reach(items)), *(grey(of(seen), _reach(seen)) for of in (xy, xz))]
    return np.stack(slices, axis=1).reshape(-1, *items.shape[-2:])


def _of_each(images: Array) -> Array:
    """(c, d, d) grey values, each slice by its own: experimental volumes share no scale."""
    images = images - images.mean(axis=(1, 2), keepdims=True)
    return np.stack([grey(image, _reach(image)) for image in images])


def _reach(volumes: Array) -> float:
    return float(np.quantile(np.abs(volumes), _BRIGHTEST))


def _low_passed(volumes: Array, voxel_spacing: float) -> Array:
    """(n, d, d, d) low-passed to BAND, softly: an edge in the filter would ring."""
    box, axes = volumes.shape[-1], (1, 2, 3)
    passed = low_pass(frequency_grid(box, voxel_spacing), BAND)
    filtered = fft.irfftn(fft.rfftn(volumes, axes=axes) * passed, (box,) * 3, axes=axes)
    return np.asarray(filtered, np.float32)


def _show_tiles(axes: Axes, tiles: Array, *, rows: Sequence[str], columns: Sequence[str]) -> None:
    """Slices (r, c, d, d), grey values 0 to 1, with names beside rows and above columns."""
    axes.imshow(mosaic(tiles), "gray", vmin=0, vmax=1)
    edge = tiles.shape[-1]
    axes.set_xticks([n * (edge + 1) + edge / 2 for n in range(len(columns))], columns, fontsize=7)
    axes.set_yticks([n * (edge + 1) + edge / 2 for n in range(len(rows))], rows, fontsize=8)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)


def _draw_spectra(axes: Axes, preview: Preview) -> None:
    box = preview.signal.shape[-1]
    frequency = np.arange(1, box // 2 + 1) / (box * preview.voxel_spacing)
    white = float(preview.noise.var(dtype=np.float64)) * box**3
    items = preview.signal + preview.noise
    parts = {"items": items, "noise alone": preview.noise, "signal alone": preview.signal}
    for (name, volumes), style in zip(parts.items(), ("k-", "C1--", "C0-"), strict=True):
        power = radial_power(volumes.reshape(-1, box, box, box)).mean(axis=0)[1:]
        axes.semilogy(frequency, power / white, style, label=name)
    axes.axvline(1 / BAND, color="gray", linestyle=":", linewidth=1, label=f"1/{BAND:g} Å")
    axes.set(xlabel="spatial frequency, 1/Å", title="power spectra")
    axes.set_ylabel("mean power in shells\n(white noise of the noise's variance = 1)")
    axes.legend(frameon=False, fontsize=8)


def _draw_wedge(axes: Axes, preview: Preview) -> None:
    box = preview.signal.shape[-1]
    plane = wedge_plane((preview.signal + preview.noise).reshape(-1, box, box, box))
    voxel = 1 / (box * preview.voxel_spacing)
    ends = -(box // 2 + 0.5) * voxel, (box - box // 2 - 0.5) * voxel
    axes.imshow(plane, "gray", origin="lower", extent=ends * 2)
    for tilt in preview.tilt_range:
        across = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
        axes.axline((0, 0), across, color="C1", linewidth=1, linestyle="--")
    axes.set(xlim=ends, ylim=ends, xlabel="kx, 1/Å", ylabel="kz, 1/Å")
    axes.set_title("log power of items, tilt limits")
    axes.xaxis.set_major_locator(MaxNLocator(4))
