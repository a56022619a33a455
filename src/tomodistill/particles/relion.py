"""What STAR files of RELION 3, 4 and 5, Warp, M and TOMOMAN say of particles.

All count from 0 at the corner of the tomogram but RELION 5, which counts Å from its centre, and M,
which counts Å. RELION 4 counts in pixels of the unbinned tilt series (particle_set.cpp of RELION,
getParticleCoordDecenteredPixel), the older ones in voxels of the tomogram that was picked in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tomodistill.errors import InputError
from tomodistill.particles.columns import Columns
from tomodistill.particles.identity import identities
from tomodistill.particles.lists import Names, Origin, ParticleList, Positions

_OPTICS, _GENERAL = "optics", "general"  # blocks
_NO_COORDINATES = "RELION without coordinates"
_TOMOGRAM = ("rlnTomoName", "rlnMicrographName", "wrpSourceName")
_IMAGE = "rlnImageName"
_EULER = ("Rot", "Tilt", "Psi")
_STACK = "_stack2d.mrcs"  # how RELION 5 ends the names of 2-D stacks
_DETECTOR = "rlnDetectorPixelSize"  # µm, before the magnification
_IMAGE_SPACING = ("rlnImagePixelSize", "rlnPixelSize", _DETECTOR)


@dataclass(frozen=True)
class _Dialect:
    name: str
    coordinates: str  # of columns, where the axis is left out
    in_angstrom: bool = False
    origin: Origin = "corner"
    spacing: tuple[str, ...] = ()  # columns, the best first


_RELION_5 = _Dialect("RELION 5", "rlnCenteredCoordinate{}Angst", True, "centre")
_M = _Dialect("M", "wrpCoordinate{}1", True)
_RELION_4 = _Dialect(
    "RELION 4",
    "rlnCoordinate{}",
    spacing=(
        "rlnTomoTiltSeriesPixelSize",
        "rlnMicrographOriginalPixelSize",
        "rlnMicrographPixelSize",
    ),
)
_RELION_3 = _Dialect(
    "RELION 3 or Warp",
    "rlnCoordinate{}",
    spacing=("rlnPixelSize", _DETECTOR, "rlnMicrographPixelSize", "rlnImagePixelSize"),
)


def particles_of(path: Path, blocks: Mapping[str, pd.DataFrame]) -> ParticleList:
    """The particles that a STAR file lists.

    Raises InputError for a file without any, without the columns that say where they are or in
    which file, and for cells that make no sense.
    """
    block = _block(path, blocks)
    table = blocks[block]
    columns = Columns(path, table, blocks.get(_OPTICS))
    dialect = _dialect_of(table, plain=_OPTICS not in blocks)
    tomograms = columns.text(*_TOMOGRAM)
    images = columns.text(_IMAGE)
    return ParticleList(
        path=path,
        dialect=dialect.name if dialect else _NO_COORDINATES,
        blocks=blocks,
        block=block,
        ids=identities(columns, tomograms),
        tomograms=tomograms,
        positions=None if dialect is None else _positions(columns, dialect),
        images=images,
        image_spacing=_spacing(columns, _IMAGE_SPACING),
        angles=_angles(columns),
        classes=columns.text("rlnClassNumber"),
        stacks_of_images=_are_stacks(blocks, columns, images),
    )


def _block(path: Path, blocks: Mapping[str, pd.DataFrame]) -> str:
    """The block that lists particles, by what its columns say."""
    for name, table in blocks.items():
        located = any(column in table for column in _TOMOGRAM) and _dialect_of(table) is not None
        if located or _IMAGE in table:
            if len(table):
                return name
            raise InputError(expected=f"particles in {path}", found="none", todo="Pick some first.")
    columns = [column for table in blocks.values() for column in table]
    raise InputError(
        expected=f"in {path} the columns rlnTomoName or rlnMicrographName with "
        "rlnCoordinateX, Y, Z or rlnCenteredCoordinateXAngst, Y, Z; or rlnImageName",
        found=", ".join(columns) or "no columns",
        todo="Give the particles' file of a RELION, Warp or M project.",
    )


def _dialect_of(table: pd.DataFrame, *, plain: bool = True) -> _Dialect | None:
    """By the columns of coordinates; `plain`: there are no optics groups."""
    dialects = (_RELION_5, _M, _RELION_3 if plain or _TOMOGRAM[0] not in table else _RELION_4)
    return next((d for d in dialects if set(_axes(d.coordinates)) <= set(table)), None)


def _axes(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.format(axis) for axis in "ZYX")


def _positions(columns: Columns, dialect: _Dialect) -> Positions:
    values = columns.vectors(_axes(dialect.coordinates))
    assert values is not None
    stated = None if dialect.in_angstrom else _spacing(columns, dialect.spacing)
    unstated = np.full(len(values), 1.0 if dialect.in_angstrom else np.nan)
    spacing = unstated if stated is None else stated
    offsets, offset_spacing = _offsets(columns, len(values))
    return Positions(values, dialect.in_angstrom, dialect.origin, spacing, offsets, offset_spacing)


def _offsets(columns: Columns, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 3) z, y, x of the tomogram, and (n,) the Å in which they count."""
    offsets, spacing = columns.vectors(_axes("rlnOrigin{}Angst")), np.ones(count)
    if offsets is None:
        offsets = columns.vectors(_axes("rlnOrigin{}"))
        pixels = _spacing(columns, _IMAGE_SPACING)
        spacing = np.full(count, np.nan) if pixels is None else pixels
    if offsets is None:
        return np.zeros((count, 3)), np.full(count, np.nan)
    box = _box_rotations(columns)
    # RELION takes A_subtomogram * offset off the position: particle_set.cpp, getPosition
    turned = offsets if box is None else box.inv().apply(offsets[:, ::-1])[:, ::-1]
    return turned, spacing


def _box_rotations(columns: Columns) -> Rotation | None:
    """How each box was turned when it was extracted; RELION's matrix is the inverse of it."""
    turned = columns.vectors(f"rlnTomoSubtomogram{angle}" for angle in _EULER)
    return None if turned is None else Rotation.from_euler("ZYZ", turned, degrees=True)


def _angles(columns: Columns) -> NDArray[np.float64] | None:
    """(n, 3) rot, tilt, psi in the tomogram's frame, degrees."""
    angles = columns.vectors(f"rlnAngle{angle}" for angle in _EULER)
    if angles is None:
        return columns.vectors(f"wrpAngle{angle}1" for angle in _EULER)
    box = _box_rotations(columns)
    if box is None:
        return angles
    # A_subtomogram * A_particle (getMatrix3x3), each the inverse of SciPy's rotation
    both = Rotation.from_euler("ZYZ", angles, degrees=True) * box
    return np.asarray(both.as_euler("ZYZ", degrees=True, suppress_warnings=True))


def _spacing(columns: Columns, names: tuple[str, ...]) -> NDArray[np.float64] | None:
    """(n,) Å by the first of `names` that says it; NaN for what is no width."""
    for name in names:
        stated = columns.numbers(name)
        if stated is not None and name == _DETECTOR:
            times = columns.numbers("rlnMagnification")
            stated = None if times is None else 1e4 * stated / np.maximum(times, 1e-9)
        if stated is not None:
            return np.where(stated > 0, stated, np.nan)
    return None


def _are_stacks(blocks: Mapping[str, pd.DataFrame], columns: Columns, images: Names | None) -> bool:
    said = blocks.get(_GENERAL, pd.DataFrame()).get("rlnTomoSubTomosAre2DStacks")
    dimensions = columns.numbers("rlnImageDimensionality")
    return (
        (said is not None and bool((said == "1").any()))
        or (dimensions is not None and bool((dimensions == 2).any()))
        or (images is not None and str(images[0]).endswith(_STACK))
    )
