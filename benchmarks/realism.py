"""Simulated boxes beside crops of a real tomogram, and their power spectra.

    PYTHONPATH=src python benchmarks/realism.py ../shared/fixtures/tomograms/13pf_MT.tif \\
        --structures ../shared/structures/maps --out docs/realism.png

The tomogram is one of microtubules at 10.5 Å (BSD-3, from cylindra's test data), as a TIFF whose
pages are z. Nothing was fitted to it: recipe and optics are the defaults, the SNR is given.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import PlanItem
from tomodistill.simulation.simulate import maker
from tomodistill.simulation.structures import load_structures

BOX, SPACING, STEP = 36, 10.5, 18
SHOWN, ITEMS = 5, 40
CLASSES = "2uv8,3j9i,4v4r,6pxm"

Array = NDArray[np.float64]


def read_pages(path: Path) -> Array:
    """(z, y, x) grey values of a TIFF."""
    with Image.open(path) as image:
        pages = []
        for page in range(getattr(image, "n_frames", 1)):
            image.seek(page)
            pages.append(np.array(image, np.float64))
    return np.stack(pages)


def crops(tomogram: Array) -> Array:
    """(n, BOX, BOX, BOX) half overlapping, of the middle in z."""
    start = (len(tomogram) - BOX) // 2
    return np.stack(
        [
            tomogram[start : start + BOX, y : y + BOX, x : x + BOX]
            for y in range(0, tomogram.shape[1] - BOX + 1, STEP)
            for x in range(0, tomogram.shape[2] - BOX + 1, STEP)
        ]
    )


def simulated(recipe: str, snr: float, folder: str) -> Array:
    """(ITEMS, BOX, BOX, BOX) of large complexes with neighbours and membranes."""
    config = SimulationConfig(
        box=BOX,
        voxel_spacing=SPACING,
        snr=Range(snr, snr),
        recipe=recipe,
        neighbours=0.7,
        membranes=0.2,
    )
    structures = load_structures(folder, classes=CLASSES, voxel_spacing=SPACING)
    make = maker(config, structures)()
    items = [PlanItem(i % len(structures), "realism", i) for i in range(ITEMS)]
    return np.stack([make(item).volume for item in items]).astype(np.float64)


def spectra(boxes: Array) -> tuple[Array, Array, Array]:
    """Frequency (1/Å) and power in the plane of the untilted image, and along the beam."""
    taper = np.hanning(BOX + 2)[1:-1]
    window = taper[:, None, None] * taper[:, None] * taper
    centred = boxes - boxes.mean(axis=(1, 2, 3), keepdims=True)
    power = np.mean([np.abs(np.fft.fftn(box * window)) ** 2 for box in centred], axis=0)
    power /= power.mean()
    k = np.fft.fftfreq(BOX)
    flat = power[np.abs(k) < 0.03].mean(axis=0)
    shell = (np.hypot(k[:, None], k) * BOX).round().astype(int)
    plane = np.bincount(shell.ravel(), flat.ravel()) / np.bincount(shell.ravel())
    along = power.mean(axis=(1, 2))
    half = slice(1, BOX // 2)
    return np.arange(BOX)[half] / BOX / SPACING, plane[half], along[half]


def figure(families: dict[str, Array]) -> Figure:
    """Slices of each family, untilted and along the beam; spectra of all below."""
    drawing = Figure((11, 1.15 * len(families) + 3.6), layout="constrained")
    top, bottom = drawing.subfigures(2, 1, height_ratios=[1.15 * len(families) + 0.4, 3.2])
    grid = top.subplots(len(families), 2 * SHOWN)
    for row, (name, boxes) in zip(grid, families.items(), strict=True):
        for column in range(SHOWN):
            box = boxes[column * len(boxes) // SHOWN]
            low, high = np.percentile(box, [0.5, 99.5])
            row[column].imshow(box[BOX // 2], "gray", vmin=low, vmax=high)
            row[SHOWN + column].imshow(box[:, BOX // 2], "gray", vmin=low, vmax=high)
        row[0].set_ylabel(name, fontsize=9)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    grid[0][SHOWN // 2].set_title("across the beam (y, x)", fontsize=10)
    grid[0][SHOWN + SHOWN // 2].set_title("along the beam (z, x)", fontsize=10)
    for axes, part, title in zip(
        bottom.subplots(1, 2), (1, 2), ("across the beam", "along the beam"), strict=True
    ):
        for name, boxes in families.items():
            frequency, *powers = spectra(boxes)
            style = "k-" if name.startswith("real") else "-"
            axes.semilogy(frequency, powers[part - 1], style, label=name.replace("\n", " "))
        axes.set(xlabel="spatial frequency (1/Å)", ylabel="power (mean = 1)", title=title)
        axes.legend(frameon=False, fontsize=8)
    return drawing


def main() -> None:
    """Draw, and say how far apart the spectra are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tomogram", type=Path)
    parser.add_argument("--structures", required=True)
    parser.add_argument("--snr", type=float, default=0.3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    families = {"real\nmicrotubules": crops(read_pages(given.tomogram))}
    for recipe in ("tilt_series", "convolution"):
        made = simulated(recipe, given.snr, given.structures)
        families[f"{recipe}\nSNR {given.snr:g}"] = made
    figure(families).savefig(given.out, dpi=110)
    _, real_plane, real_along = spectra(families["real\nmicrotubules"])
    for name, boxes in list(families.items())[1:]:
        _, plane, along = spectra(boxes)
        apart = [
            10 ** np.sqrt(np.mean(np.log10(ours / real) ** 2))
            for ours, real in ((plane, real_plane), (along, real_along))
        ]
        words = name.replace("\n", ", ")
        print(f"{words}: power differs by a factor of {apart[0]:.2f} across the beam (rms of the")
        print(f"    logarithm over all frequencies), {apart[1]:.2f} along it")


if __name__ == "__main__":
    main()
