"""The paper's Tables 1 and 2 on real density maps, and what each ingredient of the recipe gave.

    PYTHONPATH=src python benchmarks/paper_tables.py --out results/paper --scale paper   # a GPU
    PYTHONPATH=src python benchmarks/paper_tables.py --out results/quick                 # two cores

For every seed: a set of its own, a teacher on hard labels, its soft labels, every student on both
kinds of label. `--ablation s3` adds that student with one ingredient changed at a time. Runs under
any Keras backend (KERAS_BACKEND=jax) with neither mlflow nor TensorFlow. What is finished lies in
`--out` and is found again, so that the same command goes on where it was stopped; an unfinished
training goes on after its last epoch. The tables come last, and into `--out`.

The classes were fixed before any training: of the 26 maps in order of extent every sixth is left
out (3h84, 1u6g, 4v4r_30S, 4v4r_50S); the 22 others and `none` are known.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from study import Result, Study, Variant
from study_tables import ablation_table, as_compared, by_seed, speedup, table_1, table_2

from tomodistill.evaluation.comparison import Result as Compared
from tomodistill.evaluation.table import Table
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.machine import cores
from tomodistill.networks.build import build
from tomodistill.scales import RECIPES, Scale, configure

MAPS = (
    "3qm1,1s3x,3gl1,6pxm,1bxn,2cg9,3cf3,3j9i,1f4a,3d2f,1qvr,"
    "6utj,7n4y,3ipm,2uv8,4v4r,4cr2,4v7r,6qzp,8tux,5mrc,4v94"
)
# What two cores finish: smaller boxes and sets, a higher SNR, fewer epochs than at paper scale.
QUICK = {
    "box": "27",
    "voxel_spacing": "13.6",
    "snr": "0.5",
    "items": "2760",
    "teacher_epochs": "12",
    "teacher_learning_rate": "5e-4",
    "teacher_precision": "mixed_bfloat16",
    "student_epochs": "8",
    "student_precision": "mixed_bfloat16",
}
STUDENTS = ("s1", "s2", "s3")

# One ingredient changed at a time, from our recipe on soft labels.
ABLATION = {
    "no augmentation": Variant({"augment": False, "label_views": "identity"}),
    "soft labels of the unturned volume": Variant({"label_views": "identity"}),
    "twice the steps": Variant({"epochs": 2}),
    "twice the steps, transfer set": Variant({"epochs": 2}, transfer=1.0),
    "twice the steps, half of the transfer set": Variant({"epochs": 2}, transfer=0.5),
    "T = 1": Variant({"temperature": 1.0}),
    "T = 10": Variant({"temperature": 10.0}),
    "loss soft_ce": Variant({"loss": "soft_ce"}),
    "loss logits": Variant({"loss": "logits"}),
    "hard_weight 0.3": Variant({"hard_weight": 0.3}),
    "constant learning rate": Variant({"schedule": "constant"}),
    "soft labels averaged over views": Variant({"label_views": "mean"}),
    "T = 2": Variant({"temperature": 2.0}),
    "noise 0.3": Variant({"augment_noise": 0.3}),
    "twice the steps, hard labels": Variant({"epochs": 2, "labels": "hard"}),
    "twice the steps, a quarter of the transfer set": Variant({"epochs": 2}, transfer=0.25),
    "two teachers": Variant({}, teachers=2),
    "twice the steps, transfer set, two teachers, mean of views": Variant(
        {"epochs": 2, "label_views": "mean"}, transfer=1.0, teachers=2
    ),
}


def variants(scale: Scale) -> dict[str, Variant]:
    """Columns of the tables: the scale's own recipe on hard and on soft labels.

    Where that is the paper's, also our recipe: on hard labels, and on soft ones of a transfer set
    too.
    """
    tables = {"hard": Variant({"labels": "hard"}), "soft": Variant({})}
    if scale.student.optimizer != "sgd":
        return tables
    best = RECIPES["best"]
    return tables | {
        "best recipe, hard": Variant({**best, "labels": "hard"}),
        "best": Variant(best, transfer=1.0),
    }


def of_ablation(scale: Scale) -> dict[str, Variant]:
    """Our recipe on soft and on hard labels, and every change of the first."""
    base = RECIPES["best"] if scale.student.optimizer == "sgd" else {}
    names = ("best recipe, soft", "best recipe, hard") if base else ("soft", "hard")
    both = dict(zip(names, (Variant(base), Variant({**base, "labels": "hard"})), strict=True))
    changed = {
        name: replace(variant, changes={**base, **variant.changes})
        for name, variant in ABLATION.items()
    }
    return both | changed


def about(scale: Scale, seeds: Sequence[int], transfer: int, study: Study) -> str:
    """What the numbers are."""
    data = study.data
    counts = ", ".join(f"{len(data.rows(part)):,} {part}" for part in ("train", "val", "test"))
    return (
        f"`{' '.join(['python', *sys.argv])}`\n\n"
        f"{study.classes} classes; for each of the seeds {', '.join(map(str, seeds))}: {counts} "
        f"items of {data.header.box} voxels at {data.header.voxel_spacing:g} Å, SNR "
        f"{scale.simulation.snr}, recipe {scale.simulation.recipe}, {transfer:,} transfer items; "
        f"Keras {keras.__version__} on {keras.backend.backend()}, NumPy {np.__version__}, Python "
        f"{platform.python_version()}, device {KerasEngine(_tiny()).device}, {cores()} cores. 95 % "
        "intervals: Wilson, paired differences and bootstrap over the test items of all seeds; "
        "speedup: quartiles. Students of a column take as many steps, but for early stops."
    )


def _tiny() -> keras.Model:
    return build("s3", box=27, classes=2)


def main() -> None:
    """Train what is missing, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--scale", default="quick", help="quick, paper or smoke")
    parser.add_argument("--structures", default="../shared/structures/maps")
    parser.add_argument("--classes", default=MAPS)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--students", default=",".join(STUDENTS))
    parser.add_argument("--transfer", type=int, default=0, help="items; 0: as many as the set has")
    parser.add_argument("--ablation", default="", choices=("", *STUDENTS))
    parser.add_argument("--ablation_seeds", default="0", help="some of the seeds")
    known, rest = parser.parse_known_args()
    scale = _scale(known, rest)
    seeds = [int(seed) for seed in known.seeds.split(",")]
    ablation_seeds = [int(seed) for seed in known.ablation_seeds.split(",")]
    if known.ablation and not set(ablation_seeds) <= set(seeds):
        parser.error("ablation_seeds: some of the seeds")
    transfer = known.transfer or scale.simulation.items
    studies = {seed: Study(scale, seed, known.out, transfer) for seed in seeds}
    of_tables = variants(scale)
    found: dict[str, dict[str, list[Result]]] = {
        network: {name: [] for name in of_tables} for network in known.students.split(",")
    }
    teachers = []
    for study in studies.values():
        study.folder.mkdir(parents=True, exist_ok=True)
        teachers.append(_said(study.teacher()))
        for network, results in found.items():
            for name, variant in of_tables.items():
                results[name].append(_said(study.student(network, name, variant)))
    first = studies[seeds[0]]
    text = [about(scale, seeds, transfer, first)]
    speedups = {network: speedup(network, first) for network in found}
    text += [table_1(teachers, found).markdown(), table_2(teachers, found, speedups).markdown()]
    _write(known.out, text)
    _draw(known.out, as_compared(teachers, found, speedups))
    if known.ablation:
        some = [studies[seed] for seed in ablation_seeds]
        for ablation in _ablations(known.ablation, some, scale):
            _write(known.out, [*text, ablation.markdown()])


def _scale(known: argparse.Namespace, rest: Sequence[str]) -> Scale:
    flags = dict(zip((name.removeprefix("--") for name in rest[::2]), rest[1::2], strict=True))
    builtin = known.structures == "builtin"
    own = {"structures": known.structures, "classes": known.classes, "none": "1"}
    quick = QUICK if known.scale == "quick" else {}
    return configure(known.scale, {**({} if builtin else own), **quick, **flags})


def _ablations(network: str, studies: Sequence[Study], scale: Scale) -> Iterator[Table]:
    """The table so far, after every variant."""
    found: dict[str, list[Result]] = {}
    for name, variant in of_ablation(scale).items():
        found[name] = [_said(study.student(network, name, variant)) for study in studies]
        yield ablation_table(found)


def _said(result: Result) -> Result:
    of = ", ".join(f"{part} {by_seed([result], part)}" for part in ("val", "test"))
    words = f"{result.network} {result.variant}: {of}"
    print(f"seed {result.seed}: {words}, {result.seconds:.0f} s of training", flush=True)
    return result


def _draw(out: Path, compared: Sequence[Compared]) -> None:
    if find_spec("matplotlib"):  # which a machine lent for training may lack
        from tomodistill.evaluation.figures import comparison_figure

        comparison_figure(compared).savefig(out / "comparison.png", dpi=120)


def _write(out: Path, text: Sequence[str]) -> None:
    whole = "\n\n".join(text) + "\n"
    (out / "tables.md").write_text(whole)
    print(f"\n{whole}", flush=True)


if __name__ == "__main__":
    main()
