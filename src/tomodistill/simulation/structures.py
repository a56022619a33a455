"""Density maps to simulate from: the builtin complexes, or a folder of maps and atomic models."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from tomodistill.errors import InputError
from tomodistill.simulation import catalogue, density_files

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
Source = Callable[[float], Array]  # voxel spacing in Å -> density

BUILTIN = "builtin"


@dataclass(frozen=True, eq=False)
class Structure:
    """One class: a density with its maximum 1, centre of mass at voxel d // 2, protein positive."""

    name: str
    density: Array  # (d, d, d) float32, z, y, x, odd d; a ball of radius d/2 - 2 holds all of it
    voxel_spacing: float  # Å

    @cached_property
    def spline(self) -> Array:
        """(d, d, d) float32 cubic B-spline coefficients of the density, filtered once."""
        spline: Array = ndimage.spline_filter(
            self.density, order=3, output=np.float32, mode="constant"
        )
        return spline


def load_structures(source: str, *, classes: str, voxel_spacing: float) -> tuple[Structure, ...]:
    """Structures sorted by name (the class order), at `voxel_spacing` in Å.

    `source` is "builtin" or a folder of .mrc, .map, .pdb, .ent and .cif files; `classes` is "all"
    or comma-separated names. Raises InputError for a folder that is missing or holds none, a name
    that is unknown, fewer than two classes, and a file that cannot be used.
    """
    sources = _builtin() if source == BUILTIN else _folder(Path(source))
    names = _chosen(classes, sorted(sources), source)
    return tuple(_structure(name, sources[name](voxel_spacing), voxel_spacing) for name in names)


def extent(structure: Structure) -> float:
    """Å: diameter of the ball round the centre that holds all above a tenth of the maximum."""
    centre = structure.density.shape[0] // 2
    offsets = np.argwhere(structure.density > 0.1 * structure.density.max()) - centre
    return float(2 * structure.voxel_spacing * np.linalg.norm(offsets, axis=1).max())


def structures_digest(structures: tuple[Structure, ...]) -> str:
    """sha256 (hex) over names, voxel spacings and densities, in order."""
    digest = hashlib.sha256()
    for structure in structures:
        density = np.ascontiguousarray(structure.density, dtype="<f4")
        digest.update(f"{structure.name}|{structure.voxel_spacing!r}|{density.shape}|".encode())
        digest.update(density.tobytes())
    return digest.hexdigest()


def _structure(name: str, density: Array, voxel_spacing: float) -> Structure:
    clipped = np.clip(density, 0, None)
    return Structure(name, (clipped / clipped.max()).astype(np.float32), voxel_spacing)


def _builtin() -> Mapping[str, Source]:
    return {entry.name: partial(catalogue.density, entry) for entry in catalogue.COMPLEXES}


def _folder(folder: Path) -> Mapping[str, Source]:
    """Name to reader of every usable file; two files of one name are refused."""
    if not folder.is_dir():
        raise InputError(
            expected=f'"{BUILTIN}" or a folder of density maps or atomic models',
            found=f"{folder}, which is not a folder",
            todo="Give structures=FOLDER with a folder that exists.",
        )
    sources: dict[str, Source] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in density_files.READERS):
        if path.stem in sources:
            raise InputError(
                expected="one file for each class",
                found=f"several files named {path.stem} in {folder}",
                todo="Rename or remove all but one: the file name is the class name.",
            )
        sources[path.stem] = partial(density_files.READERS[path.suffix.lower()], path)
    if not sources:
        raise InputError(
            expected=f"files ending in {', '.join(density_files.READERS)}",
            found=f"none in {folder}",
            todo="Give a folder that holds density maps or atomic models.",
        )
    return sources


def _chosen(classes: str, known: list[str], source: str) -> list[str]:
    names = known if classes == "all" else sorted({name.strip() for name in classes.split(",")})
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            expected=f"classes among {', '.join(known)}",
            found=", ".join(repr(name) for name in unknown),
            todo=f'Choose names of {source}, comma-separated, or classes="all".',
        )
    if len(names) < 2:
        raise InputError(
            expected="at least 2 classes",
            found=f"{len(names)} ({', '.join(names)})",
            todo="Name more classes, or give a folder with more structures.",
        )
    return names
