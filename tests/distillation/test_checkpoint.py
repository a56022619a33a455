import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.distillation.tiny_training import (
    in_a_process,
    started,
    tiny_batches,
    tiny_network,
    tiny_training,
)
from tomodistill.distillation.batches import Batches
from tomodistill.distillation.checkpoint import KEPT_SECONDS, Checkpoint, State
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import soft_label_loss
from tomodistill.distillation.training import train
from tomodistill.errors import InputError

GOES_ON = "training goes on after epoch 2 of 4\n"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return Checkpoint(tmp_path, "0123456789abcdef" * 4)


def state(*, epochs: int = 2) -> State:
    rng = np.random.default_rng(epochs)
    weights = [rng.normal(size=(2, 3)).astype(np.float32), np.zeros((), np.float32)]
    seed = np.array([7, 2**32 - 1], np.uint32)
    curves = {"train/loss": [0.1 + 0.2, *[1e-30] * (epochs - 1)]}
    return State(curves, [*weights, seed], [np.array(3, np.int64), *weights], weights)


def assert_same(one: State | None, two: State) -> None:
    assert one is not None
    assert one.curves == two.curves
    for name in ("model", "optimizer", "best"):
        for a, b in zip(getattr(one, name), getattr(two, name), strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_array_equal(a, b)


def test_the_last_state_comes_back(checkpoint: Checkpoint) -> None:
    assert checkpoint.read() is None
    for epochs in (1, 2):
        checkpoint.write(state(epochs=epochs))
        assert_same(checkpoint.read(), state(epochs=epochs))
    assert list(checkpoint.folder.iterdir()) == [checkpoint.path]
    checkpoint.remove()
    assert checkpoint.read() is None
    checkpoint.remove()


def test_a_state_is_replaced_whole_or_not_at_all(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(file: object, **arrays: object) -> None:
        file.write(b"half")
        raise OSError("no space left")

    checkpoint.write(state(epochs=1))
    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.write(state(epochs=2))
    assert_same(checkpoint.read(), state(epochs=1))
    assert list(checkpoint.folder.iterdir()) == [checkpoint.path]


def test_a_damaged_one_is_ignored_with_one_line(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.write(state())
    whole, ignored = checkpoint.path.read_bytes(), 0
    for place in range(0, len(whole), 13):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        checkpoint.path.write_bytes(damaged)
        read = checkpoint.read()
        said = capsys.readouterr().err
        if read is None:
            ignored += 1
            assert said.startswith(f"checkpoint ignored: {checkpoint.path}: ")
            assert said.count("\n") == 1
        else:
            assert_same(read, state())  # of the archive's own book-keeping
    assert ignored > 0.5 * len(whole) / 13
    checkpoint.path.write_bytes(whole[: len(whole) // 2])
    assert checkpoint.read() is None


def test_that_of_another_training_is_ignored(
    checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.write(state())
    other = Checkpoint(checkpoint.folder, checkpoint.fingerprint[:32] + 32 * "0")
    assert other.path == checkpoint.path
    assert other.read() is None
    assert "it is of another training" in capsys.readouterr().err


def test_abandoned_ones_go_after_a_month(checkpoint: Checkpoint) -> None:
    old, recent = (Checkpoint(checkpoint.folder, letter * 64) for letter in "ab")
    for other, age in ((old, KEPT_SECONDS + 60), (recent, KEPT_SECONDS - 60)):
        other.write(state())
        then = other.path.stat().st_mtime - age
        os.utime(other.path, (then, then))
    checkpoint.write(state())
    assert sorted(checkpoint.folder.iterdir()) == sorted([checkpoint.path, recent.path])


def test_a_killed_training_ends_as_if_it_had_never_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With dropout, half turns, shifts, noise and mixes, whose draws must be the same ones too."""
    folder = str(tmp_path)
    killed = started("tensorflow", {"folder": folder, "kill_after": 2})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = tiny_training(folder=folder)
    assert capsys.readouterr().out == GOES_ON
    assert resumed["told"] == [1, 2, 3, 4]
    whole = tiny_training()
    assert resumed["curves"] == whole["curves"]
    assert resumed["weights"] == whole["weights"]
    again = tiny_training(folder=folder)  # nothing is left to do
    assert capsys.readouterr().out == "training goes on after epoch 4 of 4\n"
    assert (again["curves"], again["weights"]) == (whole["curves"], whole["weights"])


def test_under_jax_too(tmp_path: Path) -> None:
    asked = {"folder": str(tmp_path)}
    assert started("jax", {**asked, "kill_after": 2}).returncode == -signal.SIGKILL
    resumed, whole = in_a_process("jax", asked, {})
    assert resumed["told"] == [1, 2, 3, 4]
    assert (resumed["curves"], resumed["weights"]) == (whole["curves"], whole["weights"])


class Stopped(Exception):
    pass


def trained(
    checkpoint: Checkpoint | None,
    *,
    after: Callable[[int, Batches, Batches], None] = lambda epoch, data, validation: None,
    patience: int = 6,
) -> list[float]:
    """Validation losses of a training whose validation part has wrong soft labels.

    `after` may do harm at the end of an epoch.
    """
    data, validation = (tiny_batches(24, seed, augment=False) for seed in (5, None))
    validation.targets = np.roll(validation.targets, 1, axis=-1)
    history = train(
        tiny_network(0.0),
        data,
        validation,
        config=Training(epochs=6, learning_rate=0.01, patience=patience),
        loss=soft_label_loss(2.0),
        on_epoch=lambda epoch, metrics: after(epoch, data, validation),
        checkpoint=checkpoint,
    )
    return history.curves["val/loss"]


def test_patience_counts_the_epochs_before_the_kill(checkpoint: Checkpoint) -> None:
    def stop(epoch: int, data: Batches, validation: Batches) -> None:
        if epoch == 3:
            raise Stopped

    whole = trained(None, patience=3)
    assert len(whole) == 4  # the first was the best
    with pytest.raises(Stopped):
        trained(checkpoint, patience=3, after=stop)
    assert trained(checkpoint, patience=3) == whole


@pytest.mark.parametrize("part", ["training", "validation"])
def test_a_loss_that_is_no_number_leaves_the_last_sound_epoch(
    checkpoint: Checkpoint, part: str
) -> None:
    def harm(epoch: int, data: Batches, validation: Batches) -> None:
        of = data if part == "training" else validation
        of.targets[7] = np.nan if epoch == 2 else of.targets[7]

    with pytest.raises(InputError, match=f"a finite {part} loss; found nan in epoch 3") as caught:
        trained(checkpoint, after=harm)
    assert "Lower the learning rate from 0.01: teacher_learning_rate" in caught.value.todo
    kept = checkpoint.read()
    assert kept is not None
    assert kept.epochs == 2
    for arrays in (kept.model, kept.optimizer, kept.best, *kept.curves.values()):
        assert all(np.isfinite(array).all() for array in arrays)
