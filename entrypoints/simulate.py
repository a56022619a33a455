"""Simulate a subtomogram set from structures, or find the one that exists."""

import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from entrypoints.flags import parse_flags, scale_flags, scale_from
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.evaluation.baseline import given_away, variance_and_power
from tomodistill.evaluation.set_figures import BAND, Preview, montage_figure
from tomodistill.scales import Scale
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.noise import snr, within
from tomodistill.simulation.plan import PlanItem, class_names, plan, set_id
from tomodistill.simulation.simulate import CONTRAST, SimulatedSubtomogram, maker, simulate
from tomodistill.simulation.structures import NONE, Structure, extent, load_structures
from tomodistill.simulation.workers import CHUNK
from tomodistill.subtomograms.dataset import SetHeader, SubtomogramSet, open_set, write_set
from tomodistill.subtomograms.items import Item
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_figure, log_metrics, log_set
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, take_over_run

FLAGS = scale_flags("simulation")
FULL_BAND, IN_BAND = "snr/full_band", f"snr/within_{BAND:g}_angstrom"  # metrics
PREVIEW = "preview"  # in the place of a split: items like those of a set, and in none
_PREVIEWED = 64  # items, of all classes together; at least two of each
_BLOCK = 256  # volumes in memory at a time

Array = NDArray[np.float32]


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
    structures = load_structures(
        config.structures,
        classes=config.classes,
        voxel_spacing=config.voxel_spacing,
        map_spacing=config.map_spacing,
    )
    plan(config, len(structures))
    _check_fit(structures, config)
    return structures


def ensure_recorded(
    config: SimulationConfig, structures: tuple[Structure, ...], *, run_id: str | None = None
) -> RecordedSet:
    """The set of these structures, and its run."""
    name = set_id(config, structures)
    digest = phase_digest(packages=("simulation", "subtomograms"), set_id=name)
    path = places.sets() / f"{digest[:16]}.h5"
    return ensure(
        "simulate",
        digest=digest,
        name=f"simulate {len(structures)} classes, SNR {config.snr}, tilts {tilts(config)}",
        make=lambda: _make(config, structures, path),
        load=lambda run: RecordedSet(open_set(path, verify=True), run),
        run_id=run_id,
    )


def tilts(config: SimulationConfig) -> str:
    """The tilt range, for people."""
    low, high = config.tilt_range
    return f"±{high:g}°" if low == -high else f"{low:g}° to {high:g}°".replace("-", "−")


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
            todo=f"Give voxel_spacing={ceil(10 * largest / config.box) / 10:g} "
            f"or box={ceil(largest / config.voxel_spacing)}, or leave them out of classes.",
        )


def _make(config: SimulationConfig, structures: tuple[Structure, ...], path: Path) -> None:
    places.writable(path.parent)
    log_config(simulation=config)
    data = _make_set(config, structures, path)
    names = data.header.class_names
    log_set(data, "simulated")
    log_metrics({"items": len(data.ids), "classes": len(names)})
    if NONE in names:
        log_metrics(_none_given_away(data))
    _record_preview(config, structures)


def _make_set(
    config: SimulationConfig, structures: tuple[Structure, ...], path: Path
) -> SubtomogramSet:
    header = SetHeader(
        set_id=set_id(config, structures),
        class_names=class_names(config, structures),
        box=config.box,
        voxel_spacing=config.voxel_spacing,
        contrast=CONTRAST,
        handedness="right",
        recipe=asdict(config),
    )
    total = len(plan(config, len(structures)))

    def items(start: int) -> Iterable[Item]:
        if start:
            words = f"continued at subtomogram {start} of {total}"
            print(f"simulate: an interrupted set is {words}", file=sys.stderr)
        workers = min(_cores(), ceil((total - start) / CHUNK))
        made = simulate(config, structures, workers=workers, start=start)
        shown = tqdm(made, "simulating", total, initial=start, unit=" subtomograms", disable=None)
        return (_item(item, header, config) for item in shown)

    return write_set(path, header, items, total, storage=config.storage)


def _item(made: SimulatedSubtomogram, header: SetHeader, config: SimulationConfig) -> Item:
    return Item(
        volume=made.volume,
        label=made.label,
        id=f"{header.set_id}/{made.split}/{made.index:06d}",
        split=made.split,
        pose=(*made.quaternion, *made.shift),
        seed=made.seed,
        snr=made.snr,
        tilt_range=config.tilt_range,
        defocus=made.defocus,
    )


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
    blocks = np.split(rows, range(_BLOCK, len(rows), _BLOCK))
    return np.concatenate([variance_and_power(data.volumes(block)) for block in blocks])


def _record_preview(config: SimulationConfig, structures: tuple[Structure, ...]) -> None:
    """A picture of items like those of the set, and the SNR that these have."""
    names, simulator = class_names(config, structures), maker(config, structures)()
    of_class = range(max(2, ceil(_PREVIEWED / len(names))))
    items = [[PlanItem(label, PREVIEW, n) for n in of_class] for label in range(len(names))]
    parts = [[simulator.parts(item) for item in row] for row in items]
    preview = Preview(
        class_names=names,
        signal=np.array([[part.signal for part in row] for row in parts]),
        noise=np.array([[part.noise for part in row] for row in parts]),
        voxel_spacing=config.voxel_spacing,
        tilt_range=config.tilt_range,
    )
    log_figure("montage", montage_figure(preview, title=_title(config, len(structures))))
    particle = np.array([[simulator.particle(i) for i in row] for row in items[: len(structures)]])
    log_metrics(_measured_snr(particle, preview.noise[: len(structures)], config.voxel_spacing))


def _title(config: SimulationConfig, classes: int) -> str:
    box = f"{config.box}³ voxels at {config.voxel_spacing:g} Å"
    optics = f"defocus {config.defocus} µm, tilts {tilts(config)}"
    return f"{classes} structures, SNR {config.snr}, {box}, {optics} ({config.recipe})"


def _measured_snr(particle: Array, noise: Array, voxel_spacing: float) -> dict[str, float]:
    """Median over the classes of var(particle's signal) / var(noise), both (c, k, d, d, d)."""

    def seen(volume: Array) -> Array:
        return within(volume, voxel_spacing=voxel_spacing, resolution=BAND)

    pairs = [list(zip(*of_class, strict=True)) for of_class in zip(particle, noise, strict=True)]
    full = [np.mean([snr(*pair) for pair in row]) for row in pairs]
    band = [np.mean([snr(*map(seen, pair)) for pair in row]) for row in pairs]
    return {FULL_BAND: float(np.median(full)), IN_BAND: float(np.median(band))}


def _cores() -> int:
    """Those this process may use: a cluster job has fewer than its node."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
