"""Real microtubules shown to models that know none: how many are called unknown?

    PYTHONPATH=src python benchmarks/real_tomograms.py --versions FOLDER ... --data SET.h5 ...

The two crops of tomograms and the controls of `real_tomograms_controls` go one way: 8-bit TIFF,
RELION 5 list, plan, crops, shards, merge. Boxes of one microtubule overlap, so that intervals count
only as many of them as share no voxel.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import starfile
from numpy.typing import NDArray
from real_tomograms_controls import Grey, added, noise, of_test_part, simulator, tiled, write_tiff
from real_tomograms_places import apart, background, find_axis, on_axis, on_wall
from scipy.stats import binomtest

from tomodistill.bulk.backends import Here
from tomodistill.bulk.complete import complete
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import Job
from tomodistill.bulk.merge import list_results
from tomodistill.bulk.plan import plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.results import Reason
from tomodistill.bulk.shard import compute_shard
from tomodistill.evaluation.table import Cell, Column, Interval, Table
from tomodistill.inference.confidence import UNKNOWN
from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.subtomograms.dataset import SubtomogramSet, open_set
from tomodistill.tomograms.contrast import Vote, vote_contrast
from tomodistill.tomograms.cropping import Cropping, crop
from tomodistill.tomograms.files import open_volume

Array = NDArray[np.float64]
FILAMENTS = {"13pf_MT": 13, "14pf_MT": 14}  # crop -> protofilaments
MICROTUBULE, WALL, BACKGROUND = "microtubule, its axis", "microtubule, its wall", "background"
IN_BACKGROUND = "known particles in the real background"
MADE = 500  # items of a control that is made here
_SHOWN = 3  # classes of a group


@dataclass(frozen=True)
class Group:
    """Places of one kind in one tomogram."""

    kind: str
    tomogram: str
    centres: Array  # (n, 3) z, y, x, voxels
    shape: tuple[int, ...]
    vote: Vote  # whether its boxes are dark or bright

    @property
    def name(self) -> str:
        """Of its list."""
        return f"{self.kind} {self.tomogram}".replace(",", "").replace(" ", "_")


@dataclass(frozen=True)
class Found:
    """What a model made of a group."""

    kind: str
    tomogram: str
    items: int
    apart: int  # boxes that share no voxel
    padded: int  # boxes that reach out of the tomogram
    bright: float  # share of boxes that vote for bright particles
    unknown: Interval  # share, and Wilson 95 % of as many as are apart
    classes: dict[str, float]  # class -> share of the most frequent, unknown left out


def main() -> None:
    """Classify, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tomograms", type=Path, default=Path("../shared/fixtures/tomograms"))
    parser.add_argument("--versions", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="what they learned")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/bulk"))
    given = parser.parse_args()
    sets, models = {data.digest: data for data in map(open_set, given.data)}, []
    for version in given.versions:
        manifest = read_manifest(version)
        with TemporaryDirectory() as work:
            groups = staged(Path(work), given.tomograms, sets[manifest.digests["data"]])
            found = classified(Path(work), groups, version)
        models.append({**about(manifest), "found": list(map(asdict, found))})
        print(f"\n{manifest.network}, SNR {manifest.snr_range}\n{table(found).markdown()}")
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "real_tomograms.json").write_text(json.dumps(models, indent=1) + "\n")


def staged(work: Path, tomograms: Path, data: SubtomogramSet) -> list[Group]:
    """All tomograms in `work`, with their groups."""
    groups, greys, empty = list[Group](), list[Grey](), list[NDArray[np.float32]]()
    for name, filaments in FILAMENTS.items():
        path = tomograms / f"{name}.tif"
        (work / path.name).symlink_to(path.absolute())
        with open_volume(path) as file:
            tomogram, spacing = np.array(file.array), data.header.voxel_spacing
        here = list(places(name, tomogram, filaments, spacing, data.header.box))
        greys.append(Grey.of(tomogram))
        empty.append(boxes_at(tomogram, here[-1].centres, data.header.box))
        groups += here
    for kind, boxes in controls(data, np.concatenate(empty).astype(float)):
        groups.append(written(work, kind, boxes, greys[0], data.header.voxel_spacing))
    return groups


def places(
    name: str, tomogram: NDArray[np.generic], filaments: int, spacing: float, edge: int
) -> Iterator[Group]:
    """Of one real tomogram; the background comes last."""
    axis, shape = find_axis(tomogram.astype(float), spacing), tomogram.shape
    kinds = {
        MICROTUBULE: on_axis(axis, shape, spacing),
        WALL: on_wall(axis, shape, spacing, filaments),
        BACKGROUND: background(axis, shape, spacing, edge),
    }
    for kind, centres in kinds.items():
        vote = vote_contrast(boxes_at(tomogram, centres, edge))
        yield Group(kind, name, centres, shape, vote)


def boxes_at(tomogram: NDArray[np.generic], centres: Array, edge: int) -> NDArray[np.float32]:
    """(n, d, d, d) about these places."""
    return crop(tomogram, centres, edge=edge, options=Cropping()).volumes


def controls(data: SubtomogramSet, empty: Array) -> Iterator[tuple[str, Array]]:
    """Kind and bright boxes."""
    yield from of_test_part(data).items()
    make = simulator(data)
    yield "noise alone", noise(make, MADE)
    yield IN_BACKGROUND, added(make, empty, MADE)


def written(work: Path, kind: str, boxes: Array, grey: Grey, spacing: float) -> Group:
    """A tomogram of these boxes, as the real ones are stored."""
    tomogram, centres = tiled(boxes)
    vote = vote_contrast(boxes.astype(np.float32))
    group = Group(kind, kind.replace(" ", "_"), centres, tomogram.shape, vote)
    write_tiff(work / f"{group.tomogram}.tif", grey.coarse(tomogram), spacing)
    return group


def classified(work: Path, groups: list[Group], version: Path) -> list[Found]:
    """What this model makes of each group."""
    manifest = read_manifest(version)
    for group in groups:
        write_list(work / f"{group.name}.star", group, manifest.voxel_spacing)
    config = BulkConfig(
        particles=",".join(f"{work / group.name}.star" for group in groups),
        tomograms=f"{work}/*.tif",
        contrast="bright",
    )
    with TemporaryDirectory(dir=work) as folder:
        job = plan(Path(folder), config, version=version, model=manifest.network)
        complete(job, lambda: Here(job.folder, compute_shard), Progress(job.particles, 0))
        return [summary(job, at, group) for at, group in enumerate(groups)]


def write_list(path: Path, group: Group, spacing: float) -> None:
    """RELION 5: Å from the middle of the tomogram."""
    z, y, x = ((group.centres - np.array(group.shape) / 2) * spacing).T
    named = {
        f"rlnCenteredCoordinate{axis}Angst": of for axis, of in zip("XYZ", (x, y, z), strict=True)
    }
    table = pd.DataFrame({"rlnTomoName": [group.tomogram] * len(z), **named})
    starfile.write({"particles": table}, path)


def summary(job: Job, at: int, group: Group) -> Found:
    """Of the list at that position."""
    results, names = list_results(job, at), job.manifest.class_names
    classes = results["class"]
    free = apart(group.centres, job.manifest.box)
    others = Counter(names[number] for number in classes[classes >= 0]).most_common(_SHOWN)
    return Found(
        group.kind,
        group.tomogram,
        items=len(classes),
        apart=free,
        padded=int((results["reason"] == Reason.PADDED).sum()),
        bright=group.vote.bright / (group.vote.bright + group.vote.dark),
        unknown=share_of(classes == UNKNOWN, free),
        classes={name: count / len(classes) for name, count in others},
    )


def share_of(hits: NDArray[np.bool_], independent: int) -> Interval:
    """The share of all, with the interval of so many."""
    value = float(hits.mean())
    test = binomtest(round(value * independent), independent)
    low, high = test.proportion_ci(method="wilson")
    return Interval(value, min(low, value), max(high, value))


def about(manifest: Manifest) -> dict[str, object]:
    """Of a model, that which decides what it calls unknown."""
    unknown = manifest.unknown
    return {
        "network": manifest.network,
        "classes": manifest.class_names,
        "snr_range": manifest.snr_range,
        "test_accuracy": manifest.metrics.get("test/accuracy"),
        "unknown": asdict(unknown) if unknown else None,
    }


def table(found: Iterable[Found]) -> Table:
    """For people."""
    columns = ("boxes of", "in", "boxes", "apart", "padded", "bright", "unknown", "most are called")
    rows: list[list[Cell]] = [
        [
            *(of.kind, of.tomogram, of.items, of.apart, of.padded, of.bright, of.unknown),
            ", ".join(f"{name} {share:.0%}" for name, share in of.classes.items()),
        ]
        for of in found
    ]
    return Table(tuple(Column(name, ".3g") for name in columns), rows)


if __name__ == "__main__":
    main()
