"""Tables of benchmarks/bulk_costs.py: what was measured, what the model says of it, and 10^8.

What no machine here could tell is an assumption, and stands in this file: storage of a cluster,
and that its cores are as fast as these.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from bulk_costs_jobs import COLD, OF_EACH
from bulk_costs_model import Boxes, Costs, Site, Source, Times, Tomograms, predict
from bulk_costs_parts import SHAPE

from tomodistill.evaluation.table import Cell, Column, Table

HUNDRED_MILLION, SHARD = 100_000_000, 2048
TOMOGRAM = (300, 1024, 1440)  # voxels at 10 Å: 3 µm x 10 µm x 14 µm
PER_TOMOGRAM = (100, 300, 1000, 3000, 10_000)
BANDWIDTHS = (1e9, 10e9)  # bytes/s of shared storage, for all workers together
CORES = (64, 640, 6400)
GPUS = (1, 10, 100)
CORES_OF_GPU = 8  # that prepare for one, as many as a worker uses
GPU_RATES = (2e12, 20e12)  # FLOP/s that a small network reaches of one GPU, from and to
GFLOP = {"f2": 0.0731, "s3": 1.129}  # of a volume of 40³, see results/inference
_HOUR = 3600.0


def write_tables(out: Path) -> None:
    """Whatever was measured so far, as Markdown beside it."""
    known = json.loads((out / "costs.json").read_text())
    texts = []
    if "steps" in known:
        texts += [step_table(known), cold_table(known)]
    if "jobs" in known and "lists" in known:
        texts.append(job_table(known))
    if "lists" in known:
        texts += [read_table(), core_table(known), gpu_table(known)]
    text = "\n\n".join(table.markdown() for table in texts)
    (out / "costs.md").write_text(text + "\n")
    print(text)


def step_table(known: dict[str, Any]) -> Table:
    """Microseconds of one core for each particle."""
    steps = known["steps"]
    rows: list[list[Cell]] = [
        *([f"crop 40³, {name}", 1e6 * of] for name, of in steps["crop"].items()),
        *([f"box 40³, {name}", 1e6 * of] for name, of in steps["box"].items()),
    ]
    for name, of in steps["networks"].items():
        rows += [
            [f"{name}, {step}", 1e6 * seconds]
            for step, seconds in of.items()
            if step != "precision"
        ]
    return Table((Column("step"), Column("µs of a core", ",.3g")), rows)


def cold_table(known: dict[str, Any]) -> Table:
    """Reading a tomogram that no cache holds: measured, and what the model says."""
    rows: list[list[Cell]] = []
    for count, of in known["steps"]["cold crops"].items():
        expected = tomograms_here(known, int(count)).bytes_each
        paged = Tomograms(SHAPE, int(count), 40).bytes_each
        rows.append([int(count), *(value / 1e6 for value in (of["bytes"], expected, paged))])
    names = ("particles", "MB each, measured", "model", "model, no read-ahead")
    return Table(tuple(Column(name, ",.3g") for name in names), rows)


def job_table(known: dict[str, Any]) -> Table:
    """Whole jobs, measured and predicted; of each the round that others disturbed least."""
    rows: list[list[Cell]] = []
    for title, rounds in known["jobs"].items():
        of = min(rounds, key=lambda one: one["of_others"])
        wall, processor = of_job(known, title, of["particles"])
        rows.append(
            [
                *(title, of["particles"], of["processor"], processor),
                *(processor / of["processor"] - 1, of["wall"], wall),
                *(wall / of["wall"] - 1, of["of_others"]),
            ]
        )
    both = ("measured", "predicted", "off")
    names = [f"{kind}, {name}" for kind in ("core seconds", "by the clock") for name in both]
    formats = ("", ",", *(".1f", ".1f", "+.0%") * 2, ".1f")
    names = ["job, workers", "particles", *names, "cores others used"]
    return Table(tuple(map(Column, names, formats)), rows)


def of_job(known: dict[str, Any], title: str, particles: int) -> tuple[float, float]:
    """Predicted for one that was measured, from its workers' start to its merge: seconds by the
    clock, and of cores.
    """
    network, kind, workers = title.split(", ")
    lists, boxes = known["lists"], kind == "boxes"
    costs = replace(
        costs_of(known, network, "box" if boxes else "crop"),
        start=lists["handing out"]["start"] + known["steps"]["start"][network],
        planning=0.0,
        merging=lists["merging"]["seconds"],
    )
    cold, cached = kind == COLD, Site(int(workers), bandwidth=float("inf"))
    source = Boxes(40) if boxes else tomograms_here(known, OF_EACH if cold else particles)
    site = replace(cached, bandwidth=disk(known)) if cold else cached
    times = predict(particles, source, costs, site, shard=OF_EACH if cold else SHARD)
    start = lists["handing out"]["start"] + known["steps"]["start"][network]
    return times.total, particles * costs.particle + int(workers) * start


def tomograms_here(known: dict[str, Any], particles: int) -> Tomograms:
    """As they were measured, with this machine's read-ahead."""
    window = int(known["machine"]["read_ahead_kb"][0]) * 1024
    return Tomograms(SHAPE, particles, 40, window=window)


def disk(known: dict[str, Any]) -> float:
    """Bytes/s that this machine's disk gave to those who cropped from it."""
    return median(of["bytes"] / of["seconds"] for of in known["steps"]["cold crops"].values())


def costs_of(known: dict[str, Any], network: str, read: str) -> Costs:
    """Of a network on one core here, from volumes of float32; workers are there."""
    steps, lists = known["steps"], known["lists"]
    of = steps["networks"][network]
    return Costs(
        particle=steps[read]["float32"] + of["prepare"] + of["engine"] + of["decide"],
        shard=steps["shard"]["write"] + lists["handing out"]["shard"],
        planning=lists["planning"]["seconds"],
        merging=lists["merging"]["seconds"] + lists["writing"]["seconds"],
    )


def sources() -> Iterator[tuple[str, Source]]:
    """How 10^8 particles may lie on disk."""
    yield "boxes 40³ float32", Boxes(40)
    yield "boxes 40³ float16", Boxes(40, itemsize=2)
    yield "boxes 80³ float32, half the voxel spacing", Boxes(80)
    for count in PER_TOMOGRAM:
        yield f"tomograms float32, {count:,} in each", Tomograms(TOMOGRAM, count, 40)
    yield "tomograms float16, 1,000 in each", Tomograms(TOMOGRAM, 1000, 40, itemsize=2)
    fine = tuple(2 * side for side in TOMOGRAM)
    yield "tomograms float32, half the voxel spacing", Tomograms(fine, 1000, 80)  # type: ignore[arg-type]


def read_table() -> Table:
    """What comes from storage for 10^8, and the hours that takes."""
    rows: list[list[Cell]] = []
    for name, source in sources():
        total = HUNDRED_MILLION * source.bytes_each
        rows.append([name, total / 1e12, *(total / of / _HOUR for of in BANDWIDTHS)])
    hours = [Column(f"hours at {of / 1e9:g} GB/s", ",.3g") for of in BANDWIDTHS]
    return Table((Column("10⁸ particles as"), Column("TB read", ",.4g"), *hours), rows)


def core_table(known: dict[str, Any]) -> Table:
    """Hours for 10^8 on cores like these: the slower of computing and storage."""
    rows: list[list[Cell]] = []
    for network in known["steps"]["networks"]:
        for name, source, read in read_ways():
            costs = costs_of(known, network, read)
            rows.append([f"{network}, {name}", *(hours(source, costs, n) for n in CORES)])
    return Table((Column("hours at 10 GB/s"), *(Column(f"{n:,} cores") for n in CORES)), rows)


def read_ways() -> tuple[tuple[str, Source, str], ...]:
    """Boxes, and tomograms of a thousand."""
    return (
        ("boxes", Boxes(40), "box"),
        ("tomograms", Tomograms(TOMOGRAM, 1000, 40), "crop"),
    )


def hours(source: Source, costs: Costs, workers: int) -> str:
    """Of all 10^8 from the command to the lists, and what limits it."""
    site = Site(workers, BANDWIDTHS[-1])
    times: Times = predict(HUNDRED_MILLION, source, costs, site, shard=1000)
    return f"{times.total / _HOUR:,.3g} ({times.limit})"


def gpu_table(known: dict[str, Any]) -> Table:
    """The same with GPUs, one worker on each: one thread reads, others prepare, all at a time."""
    rows: list[list[Cell]] = []
    for network, of in known["steps"]["networks"].items():
        prepare = of["prepare"] / CORES_OF_GPU
        for rate, (name, source, read) in product(GPU_RATES, read_ways()):
            engine = 1e9 * GFLOP[network] / rate
            reading = known["steps"][read]["float32"]
            particle = max(reading, prepare, engine + of["decide"])
            costs = replace(costs_of(known, network, read), particle=particle)
            words = f"{network} at {rate / 1e12:g} TFLOP/s, {name}"
            cells = [hours(source, costs, n) for n in GPUS]
            rows.append([words, 1e6 * engine, 1e6 * max(reading, prepare), *cells])
    names = ("at 10 GB/s", "µs on the GPU", "µs beside it", *(f"{n} GPUs" for n in GPUS))
    return Table(tuple(Column(name, ",.0f") for name in names), rows)
