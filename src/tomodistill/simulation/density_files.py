"""Density maps and atomic models read onto a cubic grid at the voxel spacing asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
from scipy import fft, ndimage

from tomodistill.errors import InputError

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

PADDING = 2  # voxels round the outermost density, so that no rotation cuts it
SUPPORT = 0.01  # density below this fraction of the maximum does not count as the particle


def read_map(path: Path, voxel_spacing: float) -> Array:
    """(d, d, d) density of an MRC or CCP4 map, resampled to `voxel_spacing` in Å.

    Raises InputError for a file that is truncated, not a volume, not finite, without positive
    density, or whose header does not state a believable voxel spacing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # mrcfile only warns of some truncated or odd files
            with mrcfile.open(path) as file:
                data, sizes = np.array(file.data, np.float32), file.voxel_size
    except (ValueError, OSError, RuntimeWarning) as error:
        raise _unreadable(path, str(error)) from error
    spacing = np.array([sizes.z, sizes.y, sizes.x], np.float64)
    _check_map(path, data, spacing)
    return resample(data, spacing=float(spacing.mean()), target=voxel_spacing)


def read_model(path: Path, voxel_spacing: float) -> Array:
    """(d, d, d) density of an atomic model (PDB or mmCIF) at `voxel_spacing` in Å.

    The first biological assembly where the file states one, else its first model as deposited.
    Atoms weigh their electrons; hydrogens and waters are left out. Raises InputError for a file
    without atoms.
    """
    try:
        model = gemmi.read_structure(str(path))
    except (ValueError, RuntimeError, OSError) as error:
        raise _unreadable(path, str(error)) from error
    positions, electrons = _heavy_atoms(model)
    if len(positions) == 0:
        raise _unreadable(path, "no atoms but hydrogens and waters")
    fine = voxel_spacing / 3.0  # Å: fine enough that the histogram adds no error of its own
    low = positions.min(axis=0) - 3 * voxel_spacing
    shape = np.ceil((positions.max(axis=0) + 3 * voxel_spacing - low) / fine).astype(int)
    edges = [start + fine * np.arange(count + 1) for start, count in zip(low, shape, strict=True)]
    histogram = np.histogramdd(positions, bins=edges, weights=electrons)[0]
    blurred = ndimage.gaussian_filter(histogram, 0.5 * voxel_spacing / fine, mode="constant")
    return resample(blurred.astype(np.float32), spacing=fine, target=voxel_spacing)


def resample(density: Array, *, spacing: float, target: float) -> Array:
    """(d, d, d) float32, odd d: a density (z, y, x) taken from `spacing` to `target`, both Å.

    Negative values are clipped; the centre of mass comes to voxel d // 2; frequencies above the
    Nyquist limit of a coarser target are removed first; PADDING voxels surround the particle.
    """
    positive = np.clip(density, 0, None)
    support = np.argwhere(positive > SUPPORT * positive.max())
    centre = np.average(support, axis=0, weights=positive[tuple(support.T)])
    radius = np.sqrt(((support - centre) ** 2).sum(axis=1).max()) * spacing / target
    half = ceil(radius) + PADDING
    step = target / spacing
    limited = _band_limit(positive, 1.0 / step) if step > 1.0 else positive
    resampled = ndimage.affine_transform(
        limited, np.full(3, step), centre - half * step, (2 * half + 1,) * 3, order=3
    )
    clipped: Array = np.clip(resampled, 0, None)
    return clipped


def _band_limit(density: Array, fraction: float) -> Array:
    """Keep frequencies below `fraction` of Nyquist, with a cosine edge over the last fifth."""
    padded = [fft.next_fast_len(n + 2 * ceil(2 / fraction), real=True) for n in density.shape]
    axes = [fft.fftfreq(n) for n in padded[:2]] + [fft.rfftfreq(padded[2])]
    kz, ky, kx = np.meshgrid(*axes, indexing="ij", sparse=True)
    relative = 2.0 * np.sqrt(kz**2 + ky**2 + kx**2) / fraction
    edge = 0.5 + 0.5 * np.cos(np.pi * np.clip((relative - 0.8) / 0.2, 0, 1))
    limited: Array = fft.irfftn(fft.rfftn(density, padded) * edge, padded)
    return limited[tuple(slice(n) for n in density.shape)]


def _heavy_atoms(model: gemmi.Structure) -> tuple[Array, Array]:
    """(n, 3) positions z, y, x in Å and (n,) electrons of the first assembly."""
    model.setup_entities()
    if model.assemblies:
        model.transform_to_assembly(model.assemblies[0].name, gemmi.HowToNameCopiedChain.AddNumber)
    model.remove_waters()
    model.remove_hydrogens()
    atoms = [site.atom for site in model[0].all()] if len(model) else []
    positions = np.array([(a.pos.z, a.pos.y, a.pos.x) for a in atoms], np.float64).reshape(-1, 3)
    return positions, np.array([a.element.atomic_number * a.occ for a in atoms], np.float64)


def _check_map(path: Path, data: Array, spacing: Array) -> None:
    if data.ndim != 3:
        raise _unreadable(path, f"an array of shape {data.shape}")
    if not np.isfinite(data).all():
        raise _unreadable(path, "values that are not finite")
    if not (data > 0).any():
        raise _unreadable(path, "no positive density")
    # 0 and 1.0 are what programs write that were never told the spacing.
    if np.any(spacing <= 0) or np.all(spacing == 1.0) or np.ptp(spacing) > 0.01 * spacing.mean():
        raise InputError(
            expected=f"one voxel spacing in Å, neither 0 nor 1.0, in the header of {path}",
            found=" x ".join(f"{value:g}" for value in spacing),
            todo="Write the true spacing into the header (mrcfile: voxel_size = ...).",
        )


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        expected=f"a whole, finite density map or an atomic model in {path}",
        found=reason,
        todo="Remove the file from the folder, or replace it with a whole one.",
    )


READERS: Mapping[str, Callable[[Path, float], Array]] = {
    ".mrc": read_map,
    ".map": read_map,
    ".pdb": read_model,
    ".ent": read_model,
    ".cif": read_model,
}
