"""Experimental subtomograms as a set like a simulated one."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from tomodistill.errors import InputError
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.found import NO_CLASS, Found, read_found
from tomodistill.ingestion.splits import FEWEST, Splits, draw_splits
from tomodistill.ingestion.survey import Survey, Voxels
from tomodistill.particles.options import NONE
from tomodistill.subtomograms.dataset import UNLABELLED, SetHeader, SubtomogramSet, write_set
from tomodistill.subtomograms.items import Item
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess

_PLACES = ("particles", "tomograms")  # of an ingestion: names on one machine
_NO_CLASSES = ("unknown", "not_classified")  # what `predict` calls particles of no class


@dataclass(frozen=True)
class Labelled:
    """What a set is to hold of what was found, before it is written."""

    found: Found
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]  # (n,)
    splits: Splits


def choose_classes(found: Found, config: Ingestion) -> Found:
    """Those of the classes that `config` names, and those of none; all where it names none.

    Raises InputError for a class that there is not.
    """
    if config.class_names == NONE:
        return replace(found, classes=np.full(len(found), NO_CLASS, object))
    if not config.names:
        return found
    missing = sorted(set(config.names) - set(found.classes))
    if missing:
        raise InputError(
            expected="class_names: classes that there are",
            found=f"none called {', '.join(missing)}; there are {', '.join(_in_order(found))}",
            todo="Correct class_names.",
        )
    return found.take(np.flatnonzero(np.isin(found.classes, [*config.names, NO_CLASS])))


def label(found: Found, config: Ingestion) -> Labelled:
    """Labels and splits.

    Raises InputError for a class of too few items for three splits, and for names that do not tell
    classes apart.
    """
    names = config.names or {called: _name(called) for called in _in_order(found)}
    _check_names(names)
    number = {NO_CLASS: UNLABELLED} | {called: label for label, called in enumerate(names)}
    labels = np.array([number[called] for called in found.classes], np.int64)
    counts = np.bincount(labels[labels != UNLABELLED], minlength=len(names))
    few = [
        f"{count} of {called}"
        for called, count in zip(names, counts, strict=True)
        if count < FEWEST
    ]
    if few:
        raise InputError(
            expected=f"at least {FEWEST} usable subtomograms of each class: one in each of train, "
            "val and test",
            found=", ".join(few),
            todo="Add some, or leave the class out: class_names names those to keep.",
        )
    splits = draw_splits(
        ids=found.ids.tolist(), labels=labels, tomograms=found.tomograms.tolist(), seed=config.seed
    )
    return Labelled(found, tuple(names.values()), labels, splits)


def write_experimental_set(
    path: Path, labelled: Labelled, seen: Survey, voxels: Voxels, config: Ingestion
) -> SubtomogramSet:
    """The set, read from its files block by block; an interrupted one is continued.

    Boxes of more voxels than are stored are brought to these by a Fourier crop (see
    `preprocessing`), and have mean 0 and variance 1 then; others stay as they are.
    """
    recipe = _recipe(labelled, seen, config)
    header = SetHeader(
        set_id=hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16],
        class_names=labelled.class_names,
        box=voxels.box,
        voxel_spacing=voxels.voxel_spacing,
        contrast=seen.contrast,
        handedness="unknown",
        recipe=recipe,
    )
    total = len(labelled.found)

    def items(start: int) -> Iterator[Item]:
        made = _items(labelled, voxels, config, start)
        return iter(tqdm(made, "writing", total, initial=start, unit=" subtomograms", disable=None))

    return write_set(path, header, items, total, storage=config.storage)


def _in_order(found: Found) -> list[str]:
    """What the source calls its classes: numbers by size, then words."""
    names = set(found.classes) - {NO_CLASS}
    return sorted(
        names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
    )


def _name(called: str) -> str:
    """Of a class, by what the source calls it."""
    return f"class_{called}" if called.isdecimal() else called


def _check_names(names: Mapping[str, str]) -> None:
    every = [*names.values(), *_NO_CLASSES]
    wrong = [called for called, name in names.items() if every.count(name) > 1]
    if wrong:
        raise InputError(
            expected=f"classes of different names, none of them {' or '.join(_NO_CLASSES)}, as "
            "`predict` calls particles of no class",
            found=", ".join(f"{called}, named {names[called]}" for called in wrong),
            todo="Give others with class_names=, or rename folders.",
        )


def _recipe(labelled: Labelled, seen: Survey, config: Ingestion) -> dict[str, Any]:
    """What was ingested and how, whatever folder it lay in."""
    options = {name: value for name, value in asdict(config).items() if name not in _PLACES}
    return {
        "ingested": config.source,
        "files": len(labelled.found.files),
        "contents_sha256": seen.contents_sha256,
        "left_out": {why: len(ids) for why, ids in seen.left_out.items()},
        "contrast_from": seen.contrast_from,
        "split_by": "tomogram" if labelled.splits.by_tomogram else "item",
        **options,
    }


def _items(labelled: Labelled, voxels: Voxels, config: Ingestion, start: int) -> Iterator[Item]:
    found = labelled.found
    poses = _poses(found, config)
    for first, crops in read_found(found, voxels.edge, config, start=start):
        for row, volume in enumerate(_stored(crops.volumes, voxels), first):
            yield Item(
                volume=volume,
                label=int(labelled.labels[row]),
                id=found.ids[row],
                split=labelled.splits.of_items[row],
                pose=tuple(poses[row]),
                seed=0,
                snr=np.nan,
                tilt_range=config.tilts,
                defocus=np.nan,
            )


def _stored(volumes: NDArray[np.float32], voxels: Voxels) -> NDArray[np.float32]:
    """(m, b, b, b) of (m, e, e, e) volumes."""
    if voxels.edge == voxels.box:
        return volumes
    spacing = voxels.voxel_spacing * voxels.box / voxels.edge
    crop = Preprocessing(lowpass=0.0, crop=voxels.box)
    return preprocess(volumes, voxel_spacing=spacing, contrast="bright", parameters=crop)


def _poses(found: Found, config: Ingestion) -> NDArray[np.float64]:
    """(n, 7) as `Item.pose` has it: the list's angles, the particle where the list has it.

    RELION's matrix of rot, tilt and psi (Euler_angles2matrix) takes the reference's (x, y, z) to
    the particle's; it is the inverse of the intrinsic rotation about z, y and z.
    """
    poses = np.full((len(found), 7), np.nan)
    known = np.isfinite(found.angles).all(axis=1) & (config.handedness == "same")
    if known.any():
        turns = Rotation.from_euler("ZYZ", found.angles[known], degrees=True).inv()
        poses[known] = np.pad(turns.as_quat(), ((0, 0), (0, 3)))
    return poses
