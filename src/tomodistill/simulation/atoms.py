"""The electrostatic potential of an atomic model, which is what electrons see."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from pathlib import Path

import gemmi
import numpy as np
from scipy import ndimage

from tomodistill.simulation.maps import unusable
from tomodistill.simulation.resampling import LARGEST, resample

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

MODEL = "an atomic model"
VOLTS = 47.878  # V Å²: h² / (2π m e), takes an electron scattering factor in Å to V Å³
FALL_OFF = 15.2  # Å²: Σab / Σa of the fits, averaged over a protein (C4.94 N1.36 O1.48 S0.04)
HEAVIEST = 98  # atomic number up to which scattering factors are tabulated
FINENESS = 3  # grid points per voxel: the histogram of atoms then adds no error of its own


def read_model(path: Path, voxel_spacing: float) -> Array:
    """(d, d, d) potential in V of a PDB or mmCIF file, at `voxel_spacing` in Å.

    Of the first biological assembly where the file states one, else of the first model as
    deposited; alternate conformations by their occupancy. Waters and hydrogens are left out: a
    hydrogen adds as much as the ice that it displaces. Ice itself (4.5 V) is not subtracted, which
    for one kind of matter is a factor and no shape: nucleic acid is 1.3 times as bright as protein
    here, 1.4 times against ice. Raises InputError for a file that cannot be read, has no atoms, or
    has them too far apart.
    """
    try:
        positions, scattering = _atoms(gemmi.read_structure(str(path)))
    except (ValueError, RuntimeError, OSError) as error:
        raise unusable(path, str(error), MODEL) from error
    if not scattering.sum() > 0:
        reason = "no atoms but hydrogens and waters, or none with an occupancy"
        raise unusable(path, reason, MODEL)
    fine = voxel_spacing / FINENESS
    try:
        density = potential(positions, scattering, spacing=fine, blur=0.5 * voxel_spacing)
        return resample(density, spacing=fine, target=voxel_spacing)
    except ValueError as error:
        raise unusable(path, str(error), MODEL) from error


def potential(positions: Array, scattering: Array, *, spacing: float, blur: float) -> Array:
    """(z, y, x) V: atoms at (n, 3) positions in Å with (n,) scattering factors in Å.

    Each is a Gaussian of standard deviation `blur`, in Å, and its factor falls off as exp(-B s²),
    s = sin θ / λ, with one B for all, FALL_OFF. That is right for C, N, O, P and S (Peng et al.
    1996) within 1 % at 14 Å, the Nyquist limit of voxels of 7 Å, within 4 % at 6 Å and 10 % at 4 Å:
    at voxels finer than 3 Å it is too coarse. Raises ValueError for atoms too far apart for a grid.
    """
    sigma = np.hypot(blur, np.sqrt(FALL_OFF / (8 * np.pi**2)))
    low = positions.min(axis=0) - 6 * sigma
    shape = np.ceil((positions.max(axis=0) + 6 * sigma - low) / spacing)
    if not prod(shape.tolist()) <= LARGEST:  # nor where a position is not a number
        raise ValueError(f"atoms spread over {' x '.join(f'{n * spacing:g}' for n in shape)} Å")
    edges = [start + spacing * np.arange(n + 1) for start, n in zip(low, shape, strict=True)]
    volts = VOLTS * scattering / spacing**3
    histogram = np.histogramdd(positions, bins=edges, weights=volts)[0].astype(np.float32)
    blurred: Array = ndimage.gaussian_filter(histogram, sigma / spacing, mode="constant")
    return blurred


@lru_cache(maxsize=1)
def scattering_factors() -> Array:
    """(99,) Å by atomic number: electron scattering factors at frequency zero.

    The fit for 0 to 2 Å⁻¹ of Peng, Ren, Dudarev & Whelan 1996, Acta Cryst. A52:257, which is table
    4.3.2.2 of the International Tables, volume C; number 0, an unknown element, counts as oxygen.
    """
    elements = (gemmi.Element(number) for number in range(HEAVIEST + 1))
    return np.array([element.c4322.calculate_sf(0.0) for element in elements])


def _atoms(structure: gemmi.Structure) -> tuple[Array, Array]:
    """(n, 3) positions z, y, x and (n,) scattering factors times occupancy, both in Å."""
    structure.setup_entities()
    stated = [assembly.name for assembly in structure.assemblies]
    if stated:
        name = "1" if "1" in stated else stated[0]
        structure.transform_to_assembly(name, gemmi.HowToNameCopiedChain.AddNumber)
    structure.remove_waters()
    structure.remove_hydrogens()
    atoms = gemmi.FlatStructure(structure)
    first = atoms.model_num == atoms.model_num[:1]
    factors = scattering_factors()[np.minimum(atoms.elements[first], HEAVIEST)]
    return atoms.pos[first][:, ::-1], factors * atoms.occ[first]
