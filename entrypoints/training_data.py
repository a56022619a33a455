"""What trainings learn from: a simulated set, ingested ones, or several as one."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from entrypoints.simulate import ensure_set
from tomodistill import places
from tomodistill.distillation.batches import legal_augmentation
from tomodistill.errors import InputError, few
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SPLITS, UNLABELLED, SubtomogramSet, open_set
from tomodistill.subtomograms.mixing import SIMULATED, write_mixed_set
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_metrics, log_set
from tomodistill.tracking.reuse import ensure


def ensure_data(scale: Scale) -> SubtomogramSet:
    """The set that the scale's `data` names; simulated, or mixed, where it does not exist.

    Raises InputError for a set that no classifier can be trained on.
    """
    parts = scale.data.parts
    sets = [
        ensure_set(scale) if of == SIMULATED else open_set(Path(of), verify=True) for of in parts
    ]
    data = _ensure_mixed(dict(zip(_names(parts), sets, strict=True))) if sets[1:] else sets[0]
    _check_labels(data)
    _check_held_out(scale, data)
    _check_tilts(scale, data)
    return data


def data_config(scale: Scale) -> dict[str, Any]:
    """What is learned from, by phase, as `log_config` takes it."""
    simulated = {"simulation": scale.simulation} if scale.data.has_simulated else {}
    return {"data": scale.data, **simulated}


def _names(parts: tuple[str, ...]) -> list[str]:
    """Of the parts, in metrics: "simulated", or a file's name; numbered where two are alike."""
    stems = [re.sub(r"[^\w.-]", "_", Path(part).stem) for part in parts]
    alike = len(set(stems)) < len(stems)
    return [f"{number}_{stem}" if alike else stem for number, stem in enumerate(stems, 1)]


def _ensure_mixed(named: Mapping[str, SubtomogramSet]) -> SubtomogramSet:
    digest = phase_digest(
        packages=("subtomograms",), parts=[(name, of.digest) for name, of in named.items()]
    )
    path = places.sets() / f"{digest[:16]}.h5"
    return ensure(
        "mix",
        digest=digest,
        name=f"mix of {', '.join(named)}",
        make=lambda: _mix(named, path),
        load=lambda run: open_set(path, verify=True),
    )


def _mix(named: Mapping[str, SubtomogramSet], path: Path) -> None:
    places.writable(path.parent)
    for of in named.values():
        log_set(of, "part of a mix")
    data = write_mixed_set(path, named)
    log_set(data, "mixed")
    log_metrics({"items": len(data.ids), "classes": len(data.header.class_names)})


def _check_labels(data: SubtomogramSet) -> None:
    """Raises InputError unless every class can be learned, watched and tested."""
    names = data.header.class_names
    missing = [
        f"no {name} in {part}"
        for part in SPLITS
        for label, name in enumerate(names)
        if label not in data.labels[data.rows(part)]
    ]
    unlabelled = [
        f"items without a label in {part}"
        for part in ("val", "test")
        if UNLABELLED in data.labels[data.rows(part)]
    ]
    fewest = {0: ["no class"], 1: ["one class alone"]}.get(len(names), [])
    if wrong := fewest + missing + unlabelled:
        raise InputError(
            expected="data: two classes or more, each with labelled items in train, val and test",
            found=f"{few(wrong)}: {data.path}",
            todo="Ingest more items of these classes; a set without labels is for transfer=PATH.",
        )


def _check_held_out(scale: Scale, data: SubtomogramSet) -> None:
    known = sorted(set(scale.confidence.held_out) & set(data.header.class_names))
    if known:
        raise InputError(
            expected="held_out_a and held_out_b: classes that nothing is trained on",
            found=f"{', '.join(known)}, which {data.path} has",
            todo="Give others, or none.",
        )


def _check_tilts(scale: Scale, data: SubtomogramSet) -> None:
    """Raises InputError for augmentation that needs to know the missing wedge; says what is off."""
    tilts = data.columns["tilt_range"]
    unknown = tilts[np.isnan(tilts).any(axis=1)][:1]
    if len(unknown):
        for config in (scale.teacher, scale.student):
            legal_augmentation(data.header, unknown, config, scale.preprocessing)
        if scale.teacher.augment or scale.student.augment:
            print("no half turns while training: a tilt range is unknown", file=sys.stderr)
