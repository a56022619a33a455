"""Simulate a subtomogram set from structures, or find the one that exists."""

import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from entrypoints.flags import parse_flags, scale_flags, scale_from
from tomodistill import places
from tomodistill.evaluation.figures import montage_figure
from tomodistill.scales import Scale
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.simulate import (
    CHUNK,
    CONTRAST,
    RECIPE,
    measure_snr,
    plan,
    set_id,
    simulate,
)
from tomodistill.simulation.structures import Structure, extent, load_structures
from tomodistill.subtomograms.dataset import Item, SetHeader, SubtomogramSet, open_set, write_set
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import log_config, log_figure, log_metrics, log_set
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import take_over_run

FLAGS = scale_flags("simulation")
BAND = 40.0  # Å, to which the paper's group filters: an SNR means nothing without its band


def main(arguments: list[str]) -> None:
    """The entry point."""
    scale = scale_from(parse_flags(__doc__, FLAGS, arguments))
    data = ensure_set(scale, run_id=take_over_run())
    print(f"subtomogram set: {len(data.ids)} items in {data.path}, sha256 {data.digest[:12]}")


def ensure_set(scale: Scale, *, run_id: str | None = None) -> SubtomogramSet:
    """The set of this configuration: the file of a finished run, or a new one."""
    config = scale.simulation
    structures = load_structures(
        config.structures, classes=config.classes, voxel_spacing=config.voxel_spacing
    )
    _warn_of_cut(structures, config)
    name = set_id(config, structures)
    digest = phase_digest(packages=("simulation", "subtomograms"), set_id=name)
    path = places.sets() / f"{digest[:16]}.h5"
    return ensure(
        "simulate",
        digest=digest,
        name=f"simulate {len(structures)} classes, SNR {config.snr:g}",
        make=lambda: _make(scale, structures, path, name),
        load=lambda run: open_set(path, verify=True),
        run_id=run_id,
    )


def _make(scale: Scale, structures: tuple[Structure, ...], path: Path, name: str) -> None:
    places.writable(path.parent)
    log_config(simulation=scale.simulation)
    _record(_make_set(scale, structures, path, name))
    full_band, in_band = measure_snr(scale.simulation, structures, resolution=BAND)
    log_metrics({"snr/full_band": full_band, f"snr/within_{BAND:g}_angstrom": in_band})


def _warn_of_cut(structures: tuple[Structure, ...], config: SimulationConfig) -> None:
    width = config.box * config.voxel_spacing
    wide = [(s.name, extent(s)) for s in structures if extent(s) > width]
    if wide:
        largest = max(size for _, size in wide)
        names = ", ".join(f"{name} ({size:.0f} Å)" for name, size in wide)
        print(
            f"warning: wider than the box of {width:.0f} Å, and cut by it: {names}. "
            f"All would fit with voxel_spacing={largest / config.box:.1f}.",
            file=sys.stderr,
        )


def _make_set(
    scale: Scale, structures: tuple[Structure, ...], path: Path, name: str
) -> SubtomogramSet:
    config = scale.simulation
    header = SetHeader(
        set_id=name,
        class_names=tuple(structure.name for structure in structures),
        box=config.box,
        voxel_spacing=config.voxel_spacing,
        contrast=CONTRAST,
        handedness="right",
        recipe={"name": RECIPE, **asdict(config)},
    )
    items = _items(scale, structures, name)
    return write_set(path, header, items, len(plan(config, len(structures))))


def _items(scale: Scale, structures: tuple[Structure, ...], name: str) -> Iterator[Item]:
    config = scale.simulation
    total = len(plan(config, len(structures)))
    made = simulate(config, structures, workers=min(_cores(), math.ceil(total / CHUNK)))
    for item in tqdm(made, "simulating", total, unit="subtomogram", disable=None):
        yield Item(
            volume=item.volume,
            label=item.label,
            id=f"{name}/{item.split}/{item.index:06d}",
            split=item.split,
            pose=(*item.quaternion, *item.shift),
            seed=item.seed,
            snr=config.snr,
            tilt_range=config.tilt_range,
            defocus=item.defocus,
        )


def _record(data: SubtomogramSet) -> None:
    log_set(data, "simulated")
    test = data.rows("test")
    names = data.header.class_names
    log_figure("montage", montage_figure(data.volumes(test), data.labels[test], names))
    log_metrics({"items": len(data.ids), "classes": len(names)})


def _cores() -> int:
    """Those this process may use: a cluster job has fewer than its node."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
