"""What a low-pass before the network buys: one student on the same volumes, through several.

    PYTHONPATH=src python benchmarks/low_pass.py --resolutions 0,15,25,40 --snr 0.1

Flags of the simulation, and the student's network, rates and epochs, may be given as to `mlflow
run`. The student learns hard labels, its volumes turned by legal half turns; only the training and
validation parts are made, nothing sees a test item. The control is a linear classifier on the power
spectra of the same volumes.
"""

import argparse
import os
import time
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from numpy.typing import NDArray

from tomodistill.distillation.batches import Batches
from tomodistill.distillation.losses import accuracy, hard_label_loss, pack_targets
from tomodistill.distillation.training import train
from tomodistill.evaluation.accuracy import evaluate
from tomodistill.evaluation.baseline import power_spectrum_accuracy
from tomodistill.machine import cores
from tomodistill.networks.build import build
from tomodistill.scales import Scale, configure
from tomodistill.simulation.plan import class_names, plan
from tomodistill.simulation.simulate import CONTRAST, maker
from tomodistill.simulation.structures import load_structures
from tomodistill.simulation.workers import in_order
from tomodistill.subtomograms.preprocessing import preprocess
from tomodistill.subtomograms.views import legal_views

Array = NDArray[np.float32]
CORES = cores()


def make_parts(scale: Scale) -> tuple[tuple[str, ...], dict[str, tuple[Array, NDArray[np.int64]]]]:
    """Class names, and volumes and labels of the training and the validation part."""
    config = scale.simulation
    structures = load_structures(
        config.structures,
        classes=config.classes,
        voxel_spacing=config.voxel_spacing,
        map_spacing=config.map_spacing,
    )
    make, parts = maker(config, structures), {}
    for split in ("train", "val"):
        items = [item for item in plan(config, len(structures)) if item.split == split]
        volumes = [made.volume for made in in_order(make, items, workers=CORES)]
        parts[split] = np.stack(volumes), np.array([item.label for item in items])
    return class_names(config, structures), parts


def main() -> None:
    """Print one line for each resolution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolutions", default="0,15,25,40", help="Å, 0 for no filter")
    parser.add_argument("--scale", default="quick")
    known, rest = parser.parse_known_args()
    flags = dict(zip((name.removeprefix("--") for name in rest[::2]), rest[1::2], strict=True))
    scale = configure(known.scale, flags)
    names, parts = make_parts(scale)
    print(f"{len(names)} classes; {scale.simulation}; {scale.student}", flush=True)
    for resolution in map(float, known.resolutions.split(",")):
        start = time.perf_counter()
        prepared = {
            split: preprocess(
                volumes,
                voxel_spacing=scale.simulation.voxel_spacing,
                contrast=CONTRAST,
                parameters=replace(scale.preprocessing, lowpass=resolution),
            )
            for split, (volumes, _) in parts.items()
        }
        labels = {split: of for split, (_, of) in parts.items()}
        reached, low, high, curve = student_accuracy(scale, names, prepared, labels)
        control = power_spectrum_accuracy(
            train_volumes=prepared["train"],
            train_labels=labels["train"],
            test_volumes=prepared["val"],
            test_labels=labels["val"],
        )
        print(
            f"low-pass {resolution:4g} Å: validation accuracy {reached:.3f} ({low:.3f} to "
            f"{high:.3f}) on {len(labels['val'])}, power spectrum alone {control:.3f}; by epoch "
            f"{' '.join(f'{value:.2f}' for value in curve)}; {time.perf_counter() - start:.0f} s",
            flush=True,
        )


def student_accuracy(
    scale: Scale,
    names: tuple[str, ...],
    prepared: dict[str, Array],
    labels: dict[str, NDArray[np.int64]],
) -> tuple[float, float, float, list[float]]:
    """Accuracy of the student on the validation part, its 95 % interval, and that of each epoch."""
    config = scale.student
    keras.utils.set_random_seed(config.seed)
    model = build(config.student, box=scale.simulation.box, classes=len(names))
    views = legal_views([scale.simulation.tilt_range])
    batches = {}
    for split, volumes in prepared.items():
        no_teacher = np.zeros((len(volumes), len(views), len(names)), np.float32)
        targets = pack_targets(teacher_logits=no_teacher, labels=labels[split])
        seed = config.seed if split == "train" else None
        batches[split] = Batches(
            volumes, targets, views=views, batch_size=config.batch_size, seed=seed
        )
    history = train(
        model,
        batches["train"],
        batches["val"],
        config=config,
        loss=hard_label_loss,
        metrics=[accuracy],
    )
    logits = model.predict(prepared["val"][..., None], verbose=0)
    metrics = evaluate(logits, labels["val"], names).metrics("val")
    reached, low, high = (metrics[f"val/accuracy{end}"] for end in ("", "_low", "_high"))
    return reached, low, high, history.curves["val/accuracy"]


if __name__ == "__main__":
    main()
