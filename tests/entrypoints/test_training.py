"""`fit`: what it learns from, and that it goes on where it was interrupted."""

from dataclasses import replace
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import training
from entrypoints.engines import exported
from tests.processes import working_in
from tomodistill import places
from tomodistill.distillation.config import Training
from tomodistill.distillation.losses import accuracy, agreement, soft_label_loss
from tomodistill.distillation.parts import training_views
from tomodistill.subtomograms import prepared
from tomodistill.subtomograms.dataset import write_set
from tomodistill.subtomograms.preprocessing import Preprocessing

CONFIG = Training(epochs=3, batch_size=4, augment_shift=1, augment_noise=0.2, learning_rate=0.01)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield folder


@pytest.fixture
def transfer(header, items, tmp_path, rng):
    """Five unlabelled items of another set, with a teacher's logits in both legal views."""
    some = [replace(item, label=-1, id=f"other/{item.id}") for item in items[3:8]]
    data = write_set(tmp_path / "other.h5", header, lambda start: some[start:], len(some))
    return data, rng.normal(size=(5, 2, 3)).astype(np.float32)


@pytest.fixture
def fit(store, subtomogram_set, transfer, rng):
    """Trains the same small network in a run of its own; gives what it became, and the run."""
    data = subtomogram_set
    assert training_views(data, CONFIG) == ("identity", "y")
    teacher_logits = rng.normal(size=(12, 2, 3)).astype(np.float32)
    manifest = training.make_manifest(
        data,
        network="s3",
        role="student",
        config=CONFIG,
        preprocessing=Preprocessing(),
        digests={},
    )

    def call():
        keras.utils.set_random_seed(1)
        layers = [keras.Input((8, 8, 8, 1)), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
        model = keras.Sequential([*layers, keras.layers.Dense(3)])
        with mlflow.start_run() as run:
            trained = training.fit(
                model,
                data,
                manifest,
                CONFIG,
                teacher_logits=teacher_logits,
                loss=soft_label_loss(2.0),
                metrics=[accuracy, agreement],
                transfer=[transfer],
            )
        return trained, run.info.run_id

    call.teacher_logits = teacher_logits
    return call


def curve(run_id, name):
    return [(m.step, m.value) for m in MlflowClient().get_metric_history(run_id, name)]


def assert_same(one, two):
    assert one.history == two.history
    for a, b in zip(one.model.get_weights(), two.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_training_part_and_every_transfer_item(fit, subtomogram_set, transfer, monkeypatch):
    seen = []
    original = training.train

    def watched(model, data, validation, **more):
        seen.extend((data, validation))
        return original(model, data, validation, **more)

    monkeypatch.setattr(training, "train", watched)
    fit()[0].checkpoint.remove()
    (data, validation), other = seen, transfer[0]
    rows, val = subtomogram_set.rows("train"), subtomogram_set.rows("val")
    volumes = [subtomogram_set.preprocessed(rows, Preprocessing())]
    volumes.append(other.preprocessed(np.arange(5), Preprocessing()))
    np.testing.assert_array_equal(data.volumes, np.concatenate(volumes))
    logits = np.concatenate([fit.teacher_logits[rows], transfer[1]])
    np.testing.assert_array_equal(data.targets[:, :, 0], logits)
    assert (data.targets[len(rows) :, :, 1] == 0).all()
    np.testing.assert_array_equal(validation.targets[:, :, 0], fit.teacher_logits[val])
    assert (len(data.volumes), len(validation.volumes)) == (len(rows) + 5, len(val))
    assert (data.seed, validation.seed, validation.augmentation) == (0, None, None)


def test_volumes_that_stay_on_disk_train_the_same_network(fit, monkeypatch):
    in_memory = fit()[0]
    in_memory.checkpoint.remove()
    monkeypatch.setattr(prepared, "MEMORY_SHARE", 0)
    streamed = fit()[0]
    streamed.checkpoint.remove()
    assert_same(in_memory, streamed)


def test_an_interrupted_training_goes_on_in_another_run(fit, monkeypatch, capsys):
    whole, run_id = fit()
    whole.checkpoint.remove()
    logged = training.log_metrics

    def stopped(curves, *, step):
        logged(curves, step=step)
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "log_metrics", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit()
    monkeypatch.setattr(training, "log_metrics", logged)
    resumed, resumed_id = fit()
    assert "training goes on after epoch 2 of 3" in capsys.readouterr().out
    assert_same(whole, resumed)
    for name in ("train/loss", "val/accuracy"):
        assert curve(resumed_id, name) == curve(run_id, name)
        assert [step for step, _ in curve(resumed_id, name)] == [1, 2, 3]
    assert list(places.checkpoints().iterdir()) == [resumed.checkpoint.path]
    resumed.checkpoint.remove()


def test_another_training_has_another_checkpoint(fit, transfer):
    one = fit()[0].checkpoint
    transfer[1][:] += 1  # another teacher's soft labels
    other = fit()[0].checkpoint
    assert one.fingerprint != other.fingerprint
    for checkpoint in (one, other):
        assert checkpoint.path.exists()
        checkpoint.remove()


def test_a_recorded_training_keeps_no_checkpoint(fit, subtomogram_set):
    trained, _ = fit()
    data, path = subtomogram_set, trained.checkpoint.path
    assert path.exists()
    logits = trained.classifier.logits(data.volumes(data.rows("test")))
    test = training.evaluate_part(logits, data, "test")
    metrics = test.metrics("test")
    with (
        mlflow.start_run(),
        exported(trained.model, trained.classifier, data) as engines,
    ):
        training.record("s3", trained, data, engines=engines, test=test, metrics=metrics)
    assert not path.exists()


def test_where_nothing_can_be_written_it_trains_without(fit, store, monkeypatch, capsys):
    Path("a-file").touch()
    monkeypatch.setattr(places, "checkpoints", lambda: Path("a-file/checkpoints"))
    trained, _ = fit()
    assert trained.checkpoint is None
    assert "training without checkpoints: " in capsys.readouterr().err
