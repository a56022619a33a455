"""A simulated set on disk: what `simulation` makes, as items of a subtomogram set."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.plan import class_names, plan, set_id
from tomodistill.simulation.simulate import CONTRAST, SimulatedSubtomogram, simulate
from tomodistill.simulation.structures import Structure
from tomodistill.subtomograms.dataset import SetHeader, SubtomogramSet, write_set
from tomodistill.subtomograms.items import Item


def write_simulated_set(
    path: Path, config: SimulationConfig, structures: tuple[Structure, ...], *, workers: int
) -> SubtomogramSet:
    """The set of these structures, made by that many processes; an interrupted one is continued.

    Raises InputError as `write_set` does, and where nothing can be simulated.
    """
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
