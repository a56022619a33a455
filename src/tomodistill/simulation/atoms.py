"""The electrostatic potential of an atomic model, which is what electrons see."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import gemmi
import numpy as np
from scipy import ndimage

from tomodistill.errors import InputError
from tomodistill.simulation.resampling import resample

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

VOLTS = 47.878  # V Å²: h² / (2π m e), takes an electron scattering factor in Å to V Å³
HEAVIEST = 98  # atomic number up to which scattering factors are tabulated
FINENESS = 3  # grid points per voxel: the histogram of atoms then adds no error of its own


def read_model(path: Path, voxel_spacing: float) -> Array:
    """(d, d, d) potential in V of a PDB or mmCIF file, at `voxel_spacing` in Å.

    Of the first biological assembly where the file states one, else of the first model as
    deposited; alternate conformations by their occupancy. Waters and hydrogens are left out: a
    hydrogen adds as much as the ice that it displaces. Ice itself (4.5 V) is not subtracted, which
    for one kind of matter is a factor and no shape: nucleic acid is 1.3 times as bright as protein
    here, 1.4 times against ice. Raises InputError for a file that cannot be read or has no atoms.
    """
    try:
        positions, scattering = _atoms(gemmi.read_structure(str(path)))
    except (ValueError, RuntimeError, OSError) as error:
        raise _unusable(path, str(error)) from error
    if not scattering.sum() > 0:
        raise _unusable(path, "no atoms but hydrogens and waters, or none with an occupancy")
    fine = voxel_spacing / FINENESS
    density = potential(positions, scattering, spacing=fine, blur=0.5 * voxel_spacing)
    return resample(density.astype(np.float32), spacing=fine, target=voxel_spacing)


def potential(positions: Array, scattering: Array, *, spacing: float, blur: float) -> Array:
    """(z, y, x) V: atoms at (n, 3) positions in Å with (n,) scattering factors in Å.

    Each is a Gaussian of standard deviation `blur`, in Å: at 14 Å and coarser an atom's factor is
    that of frequency zero within 3 % (Peng et al. 1996), so that only its weight matters.
    """
    margin = 6 * blur
    low = positions.min(axis=0) - margin
    shape = np.ceil((positions.max(axis=0) + margin - low) / spacing).astype(int)
    edges = [start + spacing * np.arange(n + 1) for start, n in zip(low, shape, strict=True)]
    volts = VOLTS * scattering / spacing**3
    histogram = np.histogramdd(positions, bins=edges, weights=volts)[0]
    blurred: Array = ndimage.gaussian_filter(histogram, blur / spacing, mode="constant")
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


def _unusable(path: Path, reason: str) -> InputError:
    return InputError(
        expected=f"an atomic model in {path}",
        found=reason,
        todo="Remove the file from the folder, or replace it with a whole one.",
    )
