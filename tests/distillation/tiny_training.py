"""A training of seconds, in this process or, by `python -m`, in one of any backend and devices.

Three patterns under noise on 8³ voxels, a network of one convolution and two dense layers, whose
initial weights are the same under every backend.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

if devices := os.environ.get("TENSORFLOW_DEVICES"):
    import tensorflow as tf

    logical = [tf.config.LogicalDeviceConfiguration() for _ in range(int(devices))]
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], logical)

import keras
import numpy as np

from tests.processes import environment
from tomodistill.distillation.batches import Augmentation, Batches
from tomodistill.distillation.checkpoint import Checkpoint
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import agreement, pack_targets, soft_label_loss
from tomodistill.distillation.training import train
from tomodistill.subtomograms.augmentation import measured_halves
from tomodistill.subtomograms.views import VIEWS

BOX, CLASSES = 8, 3
CHANGES = Augmentation(
    shift=1,
    noise=0.3,
    mix=0.3,
    temperature=2.0,
    measured=measured_halves(BOX, [(-60.0, 60.0)] * 33),
    response=np.ones((1, 1, 1, 1), np.float32),
)


def tiny_network(dropout: float) -> keras.Model:
    rng, layers = np.random.default_rng(3), keras.layers
    keras.utils.set_random_seed(3)
    inputs = keras.Input((BOX, BOX, BOX, 1))
    x = layers.Conv3D(4, 3, padding="same", activation="relu")(inputs)
    x = layers.Flatten()(layers.MaxPooling3D(2)(x))
    x = layers.Dropout(dropout)(layers.Dense(16, activation="relu")(x))
    model = keras.Model(inputs, layers.Dense(CLASSES, name="logits")(x), name="tiny")
    model.set_weights([rng.normal(0, 0.05, w.shape) for w in model.get_weights()])
    return model


def tiny_batches(items: int, seed: int | None, *, augment: bool) -> Batches:
    rng, labels = np.random.default_rng(items), np.arange(items) % CLASSES
    patterns = np.random.default_rng(99).normal(size=(CLASSES, BOX, BOX, BOX))
    volumes = patterns[labels] + rng.normal(0, 1, (items, BOX, BOX, BOX))
    logits = 4 * np.eye(CLASSES, dtype=np.float32)[labels] + rng.normal(0, 1, (items, CLASSES))
    views = tuple(VIEWS) if augment else ("identity",)
    of_views = np.repeat(logits[:, None], len(views), axis=1).astype(np.float32)
    return Batches(
        volumes.astype(np.float32),
        pack_targets(teacher_logits=of_views, labels=labels),
        views=views,
        batch_size=8,
        seed=seed,
        augmentation=CHANGES if augment else None,
    )


def tiny_training(
    *,
    folder: str | None = None,  # of checkpoints
    kill_after: int = 0,  # epochs
    random: bool = True,  # dropout and augmentation
    items: int = 33,
    **config: Any,
) -> dict[str, Any]:
    """Curves, final weights (as lists) and what else shows how it went."""
    told: list[int] = []

    def on_epoch(epoch: int, metrics: Any) -> None:
        told.append(epoch)
        if epoch == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    model = tiny_network(0.5 if random else 0.0)
    history = train(
        model,
        tiny_batches(items, 5, augment=random),
        tiny_batches(24, None, augment=False),
        config=Training(**{"epochs": 4, "batch_size": 8, "learning_rate": 3e-3, **config}),
        loss=soft_label_loss(2.0),
        metrics=[agreement],
        on_epoch=on_epoch,
        checkpoint=Checkpoint(Path(folder), "f" * 64) if folder else None,
    )
    return {
        "curves": history.curves,
        "weights": [weight.ravel().tolist() for weight in model.get_weights()],
        "told": told,
        "optimizer": type(getattr(model, "optimizer", None)).__name__,  # a copy's is not ours
        "devices": keras.distribution.list_devices(),
        "loaded": sorted({"mlflow", "jax", "tensorflow"} & set(sys.modules)),
    }


def in_a_process(backend: str, *asked: dict[str, Any], **env: str) -> list[dict[str, Any]]:
    """What `tiny_training` gives for some arguments under another backend."""
    done = started(backend, *asked, **env)
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def started(backend: str, *asked: dict[str, Any], **env: str) -> subprocess.CompletedProcess[str]:
    """The process, however it ended."""
    return subprocess.run(
        [sys.executable, "-m", "tests.distillation.tiny_training", json.dumps(asked)],
        env=environment(KERAS_BACKEND=backend, **env),
        capture_output=True,
        text=True,
        timeout=400,
    )


if __name__ == "__main__":
    print(json.dumps([tiny_training(**asked) for asked in json.loads(sys.argv[1])]))
