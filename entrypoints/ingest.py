"""Make a subtomogram set of experimental data, or find the one that exists.

A folder with one folder per class (boxes in .mrc, .npy, HDF5 and so on; those of `unlabelled` have
no label), or a particle list, whose boxes are read or cropped from `tomograms`. Train on it with
data=PATH, or give one without labels as transfer=PATH.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from entrypoints.flags import config_flags, config_from, parse_flags
from tomodistill import places
from tomodistill.errors import InputError, few
from tomodistill.evaluation.set_figures import items_figure
from tomodistill.ingestion.config import Ingestion
from tomodistill.ingestion.experimental import (
    choose_classes,
    label,
    write_experimental_set,
)
from tomodistill.ingestion.found import Found
from tomodistill.ingestion.sources import find_subtomograms
from tomodistill.ingestion.survey import Survey, survey, voxels_of
from tomodistill.subtomograms.dataset import SPLITS, UNLABELLED, SubtomogramSet, open_set
from tomodistill.tomograms.stamps import file_stamp
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import (
    log_config,
    log_description,
    log_figure,
    log_metrics,
    log_set,
)
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import take_over_run

FLAGS = config_flags(Ingestion)
_SHOWN = 5  # items of each class in the picture


def main(arguments: list[str]) -> None:
    """The entry point."""
    config: Ingestion = config_from(Ingestion, parse_flags(__doc__, FLAGS, arguments, Ingestion))
    found = choose_classes(find_subtomograms(config), config)
    data = ensure_ingested(config, found, run_id=take_over_run())
    print(describe(data))


def ensure_ingested(
    config: Ingestion, found: Found, *, run_id: str | None = None
) -> SubtomogramSet:
    """The set of these subtomograms: the file of a finished run, or a new one.

    Raises InputError for what cannot be a set, and if files change while they are read.
    """
    known = _digest(found)
    digest = phase_digest(
        packages=("ingestion", "subtomograms", "tomograms", "particles"), config=config, found=known
    )
    path = places.sets() / f"{digest[:16]}.h5"
    return ensure(
        "ingest",
        digest=digest,
        name=f"ingest {len(found)} from {config.source}",
        make=lambda: _make(config, found, known, path),
        load=lambda run: open_set(path, verify=True),
        run_id=run_id,
    )


def describe(data: SubtomogramSet) -> str:
    """What is in the set and how it can be used, for a terminal."""
    header = data.header
    by = header.recipe["split_by"]
    lines = [
        f"subtomogram set: {len(data.ids)} items in {data.path}, sha256 {data.digest[:12]}",
        f"  {header.box} voxels at {header.voxel_spacing:g} Å, {header.contrast} particles "
        f"({header.recipe['contrast_from']})",
    ]
    if header.class_names:
        lines.append(f"  {', '.join(SPLITS)}, drawn by {by}:")
    for number, name in [*enumerate(header.class_names), (UNLABELLED, "without a label")]:
        counts = [int((data.labels[data.rows(part)] == number).sum()) for part in SPLITS]
        if sum(counts):
            lines.append(f"  {name:<24} {' + '.join(map(str, counts))}")
    if by == "item" and header.class_names:
        lines.append("  particles of one tomogram may be in train and in test: accuracy flatters")
    if len(header.class_names) == 1:
        lines.append("  one class alone: train on it beside another set, or ingest it without")
        lines.append("  labels, class_names=none, for transfer=")
    return "\n".join([*lines, f"use it: mlflow run . -e distill -P {_use(data)}"])


def _use(data: SubtomogramSet) -> str:
    """Flags that train on it; beside OTHER, where it alone is not enough."""
    path = data.path.absolute()
    unturned = " -P student_augment=false" if np.isnan(data.tilt_range).any() else ""
    alone = {0: f"data=OTHER -P transfer={path}{unturned}", 1: f"data={path},OTHER"}
    return alone.get(len(data.header.class_names), f"data={path}")


def _digest(found: Found) -> str:
    """Of what would be read: ids, places and files, as their sizes and times tell them."""
    content = hashlib.sha256(found.at.tobytes() + found.file.tobytes())
    for names in (found.ids, found.classes, found.tomograms):
        content.update("\n".join(names).encode())
    for path in found.files:
        content.update(f"{path.absolute()} {file_stamp(path)}\n".encode())
    return content.hexdigest()


def _make(config: Ingestion, found: Found, known: str, path: Path) -> None:
    places.writable(path.parent)
    log_config(ingestion=config)
    voxels = voxels_of(found, config)
    seen = survey(found, voxels, config)
    _warn(seen)
    labelled = label(seen.usable, config)
    data = write_experimental_set(path, labelled, seen, voxels, config)
    if _digest(found) != known:
        path.unlink()
        raise InputError(
            expected="files that stay as they are while they are read twice",
            found="changed ones",
            todo="Ingest them when they are complete.",
        )
    log_set(data, "ingested")
    left_out = sum(map(len, seen.left_out.values()))
    classes = len(data.header.class_names)
    log_metrics({"items": len(data.ids), "classes": classes, "left_out": left_out})
    log_description(f"```\n{describe(data)}\n```")
    log_figure("items", _figure(data))


def _warn(seen: Survey) -> None:
    for why, ids in seen.left_out.items():
        print(f"left out, {why}: {few(ids)}", file=sys.stderr)


def _figure(data: SubtomogramSet) -> Figure:
    """A few items of each class, or of those without a label."""
    header = data.header
    names = header.class_names or ("without a label",)
    numbers = range(len(names)) if header.class_names else (UNLABELLED,)
    rows = [np.resize(np.flatnonzero(data.labels == number), _SHOWN) for number in numbers]
    items = np.stack([data.volumes(of_class) for of_class in rows])
    title = f"{len(data.ids)} items, {header.box}³ voxels at {header.voxel_spacing:g} Å"
    return items_figure(items, class_names=names, voxel_spacing=header.voxel_spacing, title=title)
