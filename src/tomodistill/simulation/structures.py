"""Density maps to simulate from: builtin complexes, files of a folder, or entries of the PDB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.simulation import archive, catalogue
from tomodistill.simulation.atoms import read_model
from tomodistill.simulation.maps import read_map

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]

BUILTIN = "builtin"
PDB = "pdb:"
NONE = "none"  # the class of boxes without a particle: no structure may have its name
MAPS = (".mrc", ".map", ".ccp4", ".rec")
MODELS = (".pdb", ".ent", ".cif", ".mmcif")
COMPRESSED = (".gz", ".bz2")  # models: .gz only


@dataclass(frozen=True, eq=False)
class Structure:
    """One class: a density of mass-weighted mean 1, centre of mass at voxel d // 2, protein > 0.

    The mass-weighted mean, sum(ρ²) / sum(ρ), is the contrast where the particle is. One noise level
    serves a whole set, so it must be comparable between structures, and the grey values of maps are
    not: their scales differ thirtyfold. A maximum of 1 would let one dense voxel dim a particle.
    """

    name: str
    density: Array  # (d, d, d) float32, z, y, x, odd d; a ball of radius d/2 - 2 holds all of it
    voxel_spacing: float  # Å
    origin: str = ""  # sha256 of the file or the entry it was made from

    @cached_property
    def spline(self) -> Array:
        """(d, d, d) float32 cubic B-spline coefficients of the density, filtered once."""
        spline: Array = ndimage.spline_filter(
            self.density, order=3, output=np.float32, mode="constant"
        )
        return spline

    @cached_property
    def radius(self) -> float:
        """Voxels: of the ball round the centre that holds all above a tenth of the maximum."""
        offsets = np.argwhere(self.density > 0.1 * self.density.max()) - self.density.shape[0] // 2
        return float(np.linalg.norm(offsets, axis=1).max())


@dataclass(frozen=True)
class Source:
    """Where a structure comes from."""

    read: Callable[[float], Array]  # voxel spacing in Å -> density
    content: Callable[[], bytes]  # what it is made from, the same on every machine


def load_structures(
    source: str,
    *,
    classes: str,
    voxel_spacing: float,
    map_spacing: float = 0.0,
    cache: Path | None = None,
) -> tuple[Structure, ...]:
    """Structures sorted by name (the class order), at `voxel_spacing` in Å.

    `source` is "builtin"; a folder of maps (.mrc, .map, .ccp4, .rec) and atomic models (.pdb, .ent,
    .cif, .mmcif), each also as .gz; or "pdb:1KP8,2GLS", ids whose files are kept in `cache`, by
    default `places.structures_cache()`. `classes` is "all" or comma-separated names: those of the
    files, or lower-case ids. `map_spacing`, in Å, is that of maps whose header states none; 0
    refuses them. Raises InputError for a folder that is missing or holds none, a name or id that
    is unknown, fewer than two classes, an archive out of reach, and a file that cannot be used.
    """
    if source == BUILTIN:
        sources = _builtin()
    elif source.lower().startswith(PDB):
        sources = _entries(source[len(PDB) :], cache or places.structures_cache())
    else:
        sources = _folder(Path(source), map_spacing)
    names = _chosen(classes, sorted(sources), source)
    if source.lower().startswith(PDB):
        archive.gather(names, cache=cache or places.structures_cache())
    return tuple(_structure(name, sources[name], voxel_spacing) for name in names)


def extent(structure: Structure) -> float:
    """Å: diameter of the ball round the centre that holds all above a tenth of the maximum."""
    return 2 * structure.voxel_spacing * structure.radius


def structures_digest(structures: tuple[Structure, ...]) -> str:
    """sha256 (hex) over names, voxel spacings and origins, in order.

    Not over densities: their last bits are not the same on every processor.
    """
    known = [(each.name, each.voxel_spacing, each.origin) for each in structures]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def _structure(name: str, source: Source, voxel_spacing: float) -> Structure:
    positive = np.clip(source.read(voxel_spacing), 0, None).astype(np.float64)
    contrast = (positive**2).sum() / positive.sum()
    origin = hashlib.sha256(source.content()).hexdigest()
    return Structure(name, (positive / contrast).astype(np.float32), voxel_spacing, origin)


def _builtin() -> Mapping[str, Source]:
    return {
        entry.name: Source(partial(catalogue.density, entry), repr(entry).encode)
        for entry in catalogue.COMPLEXES
    }


def _entries(ids: str, cache: Path) -> Mapping[str, Source]:
    return {name: _entry(name, cache) for name in map(archive.entry_id, ids.split(","))}


def _entry(name: str, cache: Path) -> Source:
    def path() -> Path:
        return archive.entry_file(name, cache=cache)

    return Source(lambda spacing: read_model(path(), spacing), lambda: path().read_bytes())


def _folder(folder: Path, map_spacing: float) -> Mapping[str, Source]:
    """Name to reader of every usable file; two files of one name are refused."""
    if not folder.is_dir():
        raise InputError(
            expected=f'"{BUILTIN}", "{PDB}ID,ID,..." or a folder of density maps or atomic models',
            found=f"{folder}, which is not a folder",
            todo="Give structures=FOLDER with a folder that exists.",
        )
    sources: dict[str, Source] = {}
    for path in sorted(folder.iterdir()):
        reader = _reader(path, map_spacing)
        if reader:
            name = _bare(path).stem
            _check_name(name, name in sources, path)
            sources[name] = reader
    if not sources:
        raise InputError(
            expected=f"files ending in {', '.join((*MAPS, *MODELS))}, or these and .gz",
            found=f"none in {folder}",
            todo="Give a folder that holds density maps or atomic models.",
        )
    return sources


def _reader(path: Path, map_spacing: float) -> Source | None:
    """None for what is no structure, or hidden: other systems leave such files beside ours."""
    kind = _bare(path).suffix.lower()
    if path.name.startswith(".") or not path.is_file():
        return None
    if kind in MAPS:
        read = partial(read_map, path, map_spacing=map_spacing)
        return Source(read, lambda: path.read_bytes() + f"|{map_spacing:g}".encode())
    return Source(partial(read_model, path), path.read_bytes) if kind in MODELS else None


def _bare(path: Path) -> Path:
    """The path without the ending that says it is compressed."""
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def _check_name(name: str, taken: bool, path: Path) -> None:
    if taken:
        raise InputError(
            expected="one file for each class",
            found=f"several files named {name} in {path.parent}",
            todo="Rename or remove all but one: the file name is the class name.",
        )
    if name.lower() == NONE or "," in name:
        raise InputError(
            expected=f'a class name without a comma, and not "{NONE}" (boxes without a particle)',
            found=str(path),
            todo="Rename the file: its name is the class name.",
        )


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
