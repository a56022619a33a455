"""Simulate a subtomogram set from structures, or find the one that exists."""

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.preview import record_preview, tilts
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.evaluation.baseline import given_away, variance_and_power
from tomodistill.machine import cores
from tomodistill.scales import Scale
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.plan import class_names, plan, set_id
from tomodistill.simulation.structures import NONE, Structure, extent, load_structures
from tomodistill.subtomograms.dataset import SubtomogramSet, open_set
from tomodistill.subtomograms.row_file import rows_per_block
from tomodistill.subtomograms.simulated import write_simulated_set
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_metrics, log_set
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, take_over_run

FLAGS = scale_flags("simulation")
_TRIES = 3  # of a voxel spacing in which all structures fit


@dataclass(frozen=True)
class RecordedSet:
    """A set, and the run that made it."""

    data: SubtomogramSet
    run: Run


def main(arguments: list[str]) -> None:
    """The entry point."""
    scale = scale_from(parse_flags(__doc__, FLAGS, arguments))
    data = ensure_set(scale, run_id=take_over_run())
    print(f"subtomogram set: {len(data.ids)} items in {data.path}, sha256 {data.digest[:12]}")


def ensure_set(scale: Scale, *, run_id: str | None = None) -> SubtomogramSet:
    """The set of this configuration: the file of a finished run, or a new one."""
    config = scale.simulation
    return ensure_recorded(config, structures_of(config), run_id=run_id).data


def structures_of(config: SimulationConfig) -> tuple[Structure, ...]:
    """The classes of a set. Raises InputError where they do not exist or do not fit."""
    structures = _load(config, config.voxel_spacing)
    plan(config, len(structures))
    _check_fit(structures, config)
    return structures


def ensure_recorded(
    config: SimulationConfig, structures: tuple[Structure, ...], *, run_id: str | None = None
) -> RecordedSet:
    """The set of these structures, and its run."""
    name = set_id(config, structures)
    packages = ("simulation", "subtomograms")
    digest = phase_digest(packages=packages, set_id=name, storage=config.storage)
    path = places.sets() / f"{digest[:16]}.h5"
    return ensure(
        "simulate",
        digest=digest,
        name=f"simulate {len(class_names(config, structures))} classes, {config.recipe}, "
        f"SNR {config.snr}, tilts {tilts(config)}",
        make=lambda: _make(config, structures, path),
        load=lambda run: RecordedSet(open_set(path, verify=True), run),
        run_id=run_id,
    )


def _load(config: SimulationConfig, voxel_spacing: float) -> tuple[Structure, ...]:
    return load_structures(
        config.structures,
        classes=config.classes,
        voxel_spacing=voxel_spacing,
        map_spacing=config.map_spacing,
    )


def _check_fit(structures: tuple[Structure, ...], config: SimulationConfig) -> None:
    """Raises InputError if a structure is wider than the box, which would cut it."""
    width = config.box * config.voxel_spacing
    wide = {s.name: extent(s) for s in structures if extent(s) > width}
    if wide:
        largest = max(wide.values())
        names = ", ".join(f"{name} of {size:.0f} Å" for name, size in wide.items())
        raise InputError(
            expected=f"structures that fit into the box of {width:.0f} Å",
            found=f"{names}: up to {largest - width:.0f} Å too wide",
            todo=f"Give voxel_spacing={_spacing_that_fits(config, largest):g} "
            f"or box={ceil(largest / config.voxel_spacing)}, or leave them out of classes.",
        )


def _spacing_that_fits(config: SimulationConfig, largest: float) -> float:
    """Å, tried out: coarser voxels blur, and make the `largest` extent (Å) larger."""
    spacing = config.voxel_spacing
    for _ in range(_TRIES):
        spacing = ceil(10 * (largest + 2 * spacing) / config.box) / 10
        largest = max(map(extent, _load(config, spacing)))
        if largest <= config.box * spacing:
            break
    return spacing


def _make(config: SimulationConfig, structures: tuple[Structure, ...], path: Path) -> None:
    places.writable(path.parent)
    log_config(simulation=config)
    data = write_simulated_set(path, config, structures, workers=cores())
    names = data.header.class_names
    log_set(data, "simulated")
    log_metrics({"items": len(data.ids), "classes": len(names)})
    if NONE in names:
        log_metrics(_none_given_away(data))
    record_preview(config, structures, workers=cores())


def _none_given_away(data: SubtomogramSet) -> dict[str, float]:
    """What variance and power spectrum alone tell of class `none`, as metrics."""
    is_none = data.labels == data.header.class_names.index(NONE)
    train, val = data.rows("train"), data.rows("val")
    given = given_away(
        train_features=_features(data, train),
        train_is=is_none[train],
        val_features=_features(data, val),
        val_is=is_none[val],
    )
    return {f"none/linear_{name}": value for name, value in given._asdict().items()}


def _features(data: SubtomogramSet, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    step = rows_per_block(4 * data.header.box**3)
    blocks = np.split(rows, range(step, len(rows), step))
    return np.concatenate([variance_and_power(data.volumes(block)) for block in blocks])
