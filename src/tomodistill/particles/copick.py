"""Picks of a copick project, read and written through the copick library, which is an extra.

It needs an older zarr than the rest prefers, so it is installed by those who want it:
`uv pip install copick==1.31.0`, which brings zarr 2.18.
"""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from tomodistill.errors import InputError
from tomodistill.particles.lists import Classified, ParticleList
from tomodistill.particles.relion import particles_of

DIALECT = "copick"
_USER = "tomodistill"  # whose picks the classified ones are
_CHOICES = {"object": "object_name", "user": "user_id", "session": "session_id"}
_BLOCK = "particles"
_PICKS, _POINT = "tomodistillPicks", "tomodistillPoint"  # columns: which set, which of its points
_SEPARATOR = "/"


def is_project(path: Path) -> bool:
    """Whether it names a configuration of copick, with a choice of picks or without."""
    config = _config(path)
    return (
        config.suffix == ".json" and config.is_file() and "pickable_objects" in config.read_text()
    )


def read_picks(path: Path) -> ParticleList:
    """The points of a project, as of `copick.json?object=ribosome&user=ada&session=1`.

    What is left out of the choice is not chosen by; of a tool of this name only if it is asked
    for. Raises InputError where there are none, for another choice, and without the library.
    """
    rows = [row for picks in _chosen(path) for row in _rows(picks)]
    if not rows:
        raise InputError(expected=f"picks in {path}", found="none", todo="Choose others.")
    table = pd.DataFrame(rows, dtype="str")
    listed = particles_of(path, {_BLOCK: table})
    assert listed.positions is not None
    positions = replace(listed.positions, in_angstrom=True)
    return replace(listed, dialect=DIALECT, positions=positions, image_spacing=None)


def write_picks(particles: ParticleList, classified: Classified) -> None:
    """New picks of the user `tomodistill` in the project: for each object those of each class.

    The class is their session, the probability their score. What an earlier classification wrote
    stays, but for these particles: none stands in two classes.
    """
    table = particles.blocks[particles.block]
    root = _open(_config(particles.path))
    chosen = {_name(picks): picks.points for picks in _chosen(particles.path)}
    names = table[_PICKS].to_numpy(dtype=object)
    points = table[_POINT].astype(int).to_numpy()
    sets: dict[tuple[str, str], dict[str, list[Any]]] = {}  # run and object -> class -> points
    for name, point, number, probability in zip(
        names, points, classified.numbers, classified.probabilities, strict=True
    ):
        run, object_name, *_ = name.split(_SEPARATOR)
        scored = chosen[name][point].model_copy(update={"score": float(probability)})
        by_class = sets.setdefault((run, object_name), {})
        by_class.setdefault(_session(classified.names[number - 1]), []).append(scored)
    for (run, object_name), by_class in sets.items():
        _put(root.get_run(run), object_name, by_class)


def _put(run: Any, object_name: str, by_class: dict[str, list[Any]]) -> None:
    classified = {_place(point) for points in by_class.values() for point in points}
    for before in run.get_picks(object_name=object_name, user_id=_USER):
        others = [point for point in before.points if _place(point) not in classified]
        if others:
            by_class.setdefault(before.session_id, []).extend(others)
    run.delete_picks(object_name=object_name, user_id=_USER)
    for session, points in by_class.items():
        picks = run.new_picks(object_name, session, _USER)
        picks.points = points
        picks.store()


def _session(name: str) -> str:
    """A class's name in signs that copick allows: not_classified is not-classified."""
    escape = importlib.import_module("copick.util.escape")
    return str(escape.sanitize_name(name, suppress_warnings=True))


def _place(point: Any) -> tuple[float, float, float]:
    return point.location.x, point.location.y, point.location.z


def _chosen(path: Path) -> list[Any]:
    query = parse_qs(path.name.partition("?")[2])
    if set(query) - set(_CHOICES):
        raise InputError(
            expected=f"after ? a choice by {', '.join(_CHOICES)}",
            found=path.name,
            todo="Write it as copick.json?object=ribosome&user=ada",
        )
    choice = {_CHOICES[name]: values for name, values in query.items()}
    runs = _open(_config(path)).runs
    found = [picks for run in runs for picks in run.get_picks(**choice)]
    others = [picks for picks in found if "user" in query or picks.user_id != _USER]
    return sorted(others, key=_name)


def _rows(picks: Any) -> Iterator[dict[str, str]]:
    """Points as RELION would list them in a tomogram with voxels of 1 Å."""
    places, transformations = picks.numpy()
    shifts = -transformations[:, :3, 3]
    turns = Rotation.from_matrix(transformations[:, :3, :3]).inv()
    angles = turns.as_euler("ZYZ", degrees=True, suppress_warnings=True)
    columns = [f"{kind}{axis}" for kind, axis in product(("rlnCoordinate", "rlnOrigin"), "XYZ")]
    columns += [f"rlnAngle{name}" for name in ("Rot", "Tilt", "Psi")]
    for point, values in enumerate(np.hstack([places, shifts, angles])):
        name = _name(picks)
        yield {
            "rlnTomoName": picks.run.name,
            "rlnTomoParticleName": f"{name}{_SEPARATOR}{point}",
            "rlnPixelSize": "1",
            **{column: repr(float(value)) for column, value in zip(columns, values, strict=True)},
            _PICKS: name,
            _POINT: str(point),
        }


def _name(picks: Any) -> str:
    parts = (picks.run.name, picks.pickable_object_name, picks.user_id, picks.session_id)
    return _SEPARATOR.join(parts)


def _config(path: Path) -> Path:
    return path.with_name(path.name.partition("?")[0])


def _open(config: Path) -> Any:
    try:
        return importlib.import_module("copick").from_file(str(config))
    except ImportError as error:
        raise InputError(
            expected=f"the copick library, to read {config}",
            found=str(error),
            todo="Install it: uv pip install copick==1.31.0",
        ) from error
