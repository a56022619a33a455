"""Particle lists of any program, told apart by their names and columns."""

from pathlib import Path

import pandas as pd

from tomodistill.errors import InputError
from tomodistill.particles import copick
from tomodistill.particles.dynamo import read_dynamo
from tomodistill.particles.lists import ParticleList
from tomodistill.particles.relion import particles_of
from tomodistill.particles.star import read_star, unquoted
from tomodistill.tomograms.named import located

LIST_SUFFIXES = (".star", ".tbl")
FOREIGN = {  # suffixes of lists that are refused by name
    ".em": "a motive list of TOM, AV3 or EM",
    ".lst": "a particle list of EMAN2",
    ".json": "a particle list of EMAN2, no configuration of copick",
    ".mod": "a model of IMOD or PEET",
    ".csv": "a motive list of PEET, or a table",
}
_SET = "rlnTomoParticlesFile"  # of an optimisation set
_NAMES = "Correct the name; a comma separates several."
_STOPGAP = "stopgap"  # how the names of its blocks begin


def read_particles(path: Path) -> ParticleList:
    """The particles of a RELION 3, 4 or 5, Warp or M STAR file, of a Dynamo table, or of copick.

    A RELION optimisation set is followed to its particles; `copick.read_picks` says how picks of a
    project are chosen. Raises InputError for what is none of these, and for a list that is
    damaged, empty or lacks what is needed.
    """
    if copick.is_project(path):
        return copick.read_picks(path)
    if not path.is_file():
        raise InputError(
            expected="a particle list", found=f"no file {path.absolute()}", todo=_NAMES
        )
    if path.suffix == ".tbl":
        return read_dynamo(path)
    if path.suffix != ".star":
        raise _foreign(path, FOREIGN.get(path.suffix, "another kind of file"))
    blocks = read_star(path)
    if any(name.startswith(_STOPGAP) for name in blocks):
        raise _foreign(path, "a motive list of STOPGAP")
    follow = [table[_SET].iloc[0] for table in blocks.values() if _SET in table and len(table)]
    if follow:
        return read_particles(_named(path, unquoted(pd.Series(follow)).iloc[0]))
    return particles_of(path, blocks)


def _named(path: Path, name: str) -> Path:
    """A file as an optimisation set names it: as seen from the folder of the RELION project."""
    found = located(name, path.resolve().parent)
    if found is None:
        raise InputError(
            expected=f"the particles of {path} at {name}, in the working directory or above it",
            found="no such file",
            todo="Give the particles' STAR file itself.",
        )
    return found


def _foreign(path: Path, what: str) -> InputError:
    return InputError(
        expected="a particle list of RELION, Warp or M (.star), or of Dynamo (.tbl)",
        found=f"{what}: {path}",
        todo="Convert it to RELION's STAR format, with cryoCAT for instance.",
    )
