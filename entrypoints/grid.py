"""A family of sets: every SNR of `snrs` with every tilt range of `tilts`, each a run of its own.

A tilt range is symmetric ("60") or given by its ends ("-76..47"). All else is as for `simulate`;
sets that exist are found again, so that an interrupted grid goes on.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.preview import FULL_BAND, IN_BAND, PREVIEW, tilts
from entrypoints.simulate import RecordedSet, ensure_recorded, structures_of
from tomodistill.errors import InputError
from tomodistill.evaluation.set_figures import BAND, grid_figure
from tomodistill.evaluation.table import Column, Link, Table
from tomodistill.machine import cores
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import PlanItem, set_id
from tomodistill.simulation.simulate import Parts, maker
from tomodistill.simulation.structures import Structure, extent
from tomodistill.tracking.links import run_url
from tomodistill.tracking.records import log_description, log_figure, log_metrics, log_text
from tomodistill.tracking.runs import phase_run, take_over_run

SNRS, TILTS = "snrs", "tilts"  # flags, each a comma-separated list
_OF_ONE = ("snr", "tilt_min", "tilt_max")  # flags of `simulate` that these two stand for
OF_SET = {name: text for name, text in scale_flags("simulation").items() if name not in _OF_ONE}
# From four times the paper's SNR to half of it; the paper says neither which SNRs nor which tilts.
FLAGS = {SNRS: "0.2,0.1,0.05,0.025", TILTS: "60,50,40", **OF_SET}
_COLUMNS = (
    Column("set"),
    Column("SNR"),
    Column("tilts"),
    Column("items", ","),
    Column("SNR measured", ".3g"),
    Column(f"SNR within {BAND:g} Å", ".3g"),
    Column("path"),
)


def main(arguments: list[str]) -> None:
    """The entry point."""
    given, run_id = parse_flags(__doc__, FLAGS, arguments), take_over_run()
    configs = configs_of(given)  # a value that is wrong is refused before hours of other sets
    structures = structures_of(configs[0])
    name = f"grid of {len(configs)} sets, SNR {given[SNRS]}, tilts {given[TILTS]}"
    with phase_run("grid", name=name, run_id=run_id) as run:
        sets = [ensure_recorded(config, structures) for config in configs]
        _record(configs, sets)
        log_figure("grid", _figure(configs, structures))
    print(_table(configs, sets, linked=False).markdown())
    print(f"\ntable and picture: {run_url(run)}")


def configs_of(given: dict[str, str]) -> list[SimulationConfig]:
    """Every SNR with every tilt range, the tilt ranges of one SNR side by side.

    Raises InputError for a flag whose text is no value of it.
    """
    shared = {name: text for name, text in given.items() if name not in (SNRS, TILTS)}
    snrs, tilt_ranges = (given[name].split(",") for name in (SNRS, TILTS))
    configs = [_config(shared, snr, tilt) for snr in snrs for tilt in tilt_ranges]
    return list(dict.fromkeys(configs))


def _config(shared: dict[str, str], snr: str, tilt: str) -> SimulationConfig:
    low, high = _tilt_range(tilt)
    given = {"snr": snr, "tilt_min": str(low), "tilt_max": str(high)}
    return scale_from({**shared, **given}).simulation


def _tilt_range(text: str) -> tuple[float, float]:
    """Degrees."""
    try:
        ends = Range.parse(text)
    except ValueError as error:
        raise InputError(
            expected=f"{TILTS}: the largest tilt (60), or both ends (-76..47), in degrees",
            found=repr(text),
            todo=f"For example {TILTS}=60,50,-76..47",
        ) from error
    return (ends.low, ends.high) if ".." in text else (-ends.high, ends.high)


def _record(configs: Sequence[SimulationConfig], sets: Sequence[RecordedSet]) -> None:
    table = _table(configs, sets, linked=True)
    log_text("tables/grid.md", table.markdown())
    log_text("tables/grid.csv", table.csv())
    log_description(f"**{len(sets)} sets**\n\n{table.markdown()}")
    log_metrics({"sets": len(sets), "items": sum(len(made.data.ids) for made in sets)})


def _table(
    configs: Sequence[SimulationConfig], sets: Sequence[RecordedSet], *, linked: bool
) -> Table:
    rows = [
        (
            Link(made.data.digest[:12], run_url(made.run) if linked else ""),
            str(config.snr),
            tilts(config),
            len(made.data.ids),
            made.run.data.metrics.get(FULL_BAND),
            made.run.data.metrics.get(IN_BAND),
            str(made.data.path.absolute()),
        )
        for config, made in zip(configs, sets, strict=True)
    ]
    return Table(_COLUMNS, rows)


def _figure(configs: Sequence[SimulationConfig], structures: tuple[Structure, ...]) -> Figure:
    """Of the structure of median size: one particle, one pose, one noise but for its level."""
    snrs = list(dict.fromkeys(config.snr for config in configs))
    of_tilts = list({config.tilt_range: config for config in configs}.values())
    by_size = sorted(range(len(structures)), key=lambda label: extent(structures[label]))
    label = by_size[len(by_size) // 2]
    item = PlanItem(label, PREVIEW, 0)
    name = set_id(configs[0], structures)  # each set has its own poses; here they are the same
    makers = [maker(config, structures, workers=cores(), name=name) for config in of_tilts]
    parts = [make().parts(item) for make in makers]
    return grid_figure(
        np.stack([part.signal for part in parts]),
        np.stack([[_with_noise(part, snr) for part in parts] for snr in snrs]),
        snrs=[str(snr) for snr in snrs],
        tilts=[tilts(config) for config in of_tilts],
        voxel_spacing=configs[0].voxel_spacing,
        title=f"one {structures[label].name}, in one pose, as each set has it",
    )


def _with_noise(parts: Parts, snr: Range) -> NDArray[np.float32]:
    """(d, d, d): an item with its noise at another SNR; of a range, at its geometric mean."""
    at = sqrt(snr.low * snr.high)
    louder = np.float32(sqrt(parts.exposure.snr / at))
    return np.asarray(parts.signal + louder * parts.noise, np.float32)
