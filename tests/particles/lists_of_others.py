"""One particle of one tomogram as RELION 3, 4 and 5, Warp, M and Dynamo would list it.

At voxel AT (z, y, x) of a tomogram of SHAPE voxels of SPACING Å; its tilt series has TILT_SPACING.
Refinement found it SHIFTED_BY voxels further on than it was picked.
"""

from pathlib import Path

import numpy as np

SHAPE = (20, 31, 40)
SPACING, TILT_SPACING = 10.0, 2.5
AT = np.array([7.0, 11.0, 29.5])
SHIFTED_BY = np.array([1.0, -2.0, 0.5])

_PICKED = AT - SHIFTED_BY
_HEAD = {
    "relion3": "rlnMicrographName rlnCoordinateZ rlnCoordinateY rlnCoordinateX "
    "rlnDetectorPixelSize rlnMagnification rlnOriginZ rlnOriginY rlnOriginX",
    "relion4": "rlnTomoName rlnTomoParticleId rlnCoordinateZ rlnCoordinateY rlnCoordinateX "
    "rlnOriginZAngst rlnOriginYAngst rlnOriginXAngst rlnOpticsGroup",
    "relion5": "rlnTomoName rlnTomoParticleName rlnCenteredCoordinateZAngst "
    "rlnCenteredCoordinateYAngst rlnCenteredCoordinateXAngst "
    "rlnOriginZAngst rlnOriginYAngst rlnOriginXAngst rlnOpticsGroup",
    "m": "wrpSourceName wrpCoordinateZ1 wrpCoordinateY1 wrpCoordinateX1",
}
_OPTICS = (
    f"data_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnTomoTiltSeriesPixelSize #2\n1 {TILT_SPACING}\n"
)
DIALECTS = (*_HEAD, "dynamo")


def write_list(folder: Path, dialect: str, *, turned: str = "") -> Path:
    """The list of that dialect; `turned`: names and values of further columns."""
    if dialect == "dynamo":
        return _write_table(folder / "ts.tbl")
    centre = np.array(SHAPE) / 2
    cells = {
        "relion3": ["ts.tomostar", *_PICKED, 10.0, 10000.0, *-SHIFTED_BY],
        "relion4": ["ts", 7, *_PICKED * SPACING / TILT_SPACING, *-SHIFTED_BY * SPACING, 1],
        "relion5": ["ts", "ts/7", *(_PICKED - centre) * SPACING, *-SHIFTED_BY * SPACING, 1],
        "m": ["ts.tomostar", *AT * SPACING],
    }[dialect]
    names, values = turned.split()[::2], turned.split()[1::2]
    heads = "\n".join(f"_{name}" for name in (*_HEAD[dialect].split(), *names))
    row = " ".join(map(str, (*cells, *values)))
    optics = _OPTICS if dialect in ("relion4", "relion5") else ""
    path = folder / f"{dialect}.star"
    path.write_text(f"{optics}\ndata_particles\n\nloop_\n{heads}\n{row}\n")
    return path


def _write_table(path: Path) -> Path:
    """Dynamo counts from 1, adds its shifts, and has x first."""
    row = np.zeros(42)
    row[[0, 3, 4, 5, 19]] = [7, *SHIFTED_BY[::-1], 1]
    row[23:26] = (_PICKED + 1)[::-1]
    row[35] = SPACING
    path.write_text(" ".join(f"{cell:g}" for cell in row) + "\n")
    return path
