"""`simulate` at `smoke` scale."""

from itertools import islice

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import preview, simulate
from tests.processes import working_in
from tomodistill.errors import InputError
from tomodistill.evaluation.baseline import Given
from tomodistill.scales import configure
from tomodistill.simulation.config import Range
from tomodistill.simulation.structures import NONE
from tomodistill.subtomograms import row_file, simulated

# The recipe that brings every box to the SNR asked for, and needs no set's noise level measured.
FEW = {"recipe": "convolution", "box": "24"}


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulate")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"):
        yield folder


def recorded(**given):
    """The set of these flags, and the metrics of its run."""
    config = configure("smoke", {**FEW, **given}).simulation
    made = simulate.ensure_recorded(config, simulate.structures_of(config))
    return made.data, made.run.data.metrics


def test_class_none_is_in_the_set():
    data, metrics = recorded(none="1", items="160", snr="0.05..0.5")
    assert data.header.class_names == ("clpp", "groel", "rubisco", NONE)
    assert np.bincount(data.labels).tolist() == [40] * 4
    assert 0.05 <= data.snr_range[0] < 0.1 < 0.3 < data.snr_range[1] <= 0.5
    assert {"items": 160, "classes": 4}.items() <= metrics.items()


def test_empty_boxes_among_particles_seen_well_give_themselves_away():
    _, metrics = recorded(none="1", debris="0", items="160", snr="5", shift="0")
    assert metrics["none/linear_auc"] > 0.95
    assert metrics["none/linear_balanced_accuracy"] > 0.85
    _, metrics = recorded()
    assert not any(name.startswith("none/") for name in metrics)


def test_the_control_learns_from_train_and_is_asked_of_val(monkeypatch):
    data, _ = recorded(none="1", items="160", snr="0.05..0.5")
    asked = []
    monkeypatch.setattr(simulate, "given_away", lambda **of: asked.append(of) or Given(0.6, 0.7))
    monkeypatch.setattr(row_file, "BLOCK_BYTES", 7 * 4 * 24**3)  # seven subtomograms
    found = simulate._none_given_away(data)
    assert found == {"none/linear_balanced_accuracy": 0.6, "none/linear_auc": 0.7}
    for split in ("train", "val"):
        rows = data.rows(split)
        assert np.array_equal(asked[0][f"{split}_is"], data.labels[rows] == 3)
        variance = np.log(data.volumes(rows).var(axis=(1, 2, 3), dtype=np.float64))
        np.testing.assert_allclose(asked[0][f"{split}_features"][:, 0], variance)


def test_half_the_disk_holds_the_same_items():
    (whole, _), (half, _) = recorded(), recorded(storage="float16")
    assert (whole.storage, half.storage) == ("float32", "float16")
    assert whole.header.set_id == half.header.set_id
    for name, column in whole.columns.items():
        np.testing.assert_array_equal(half.columns[name], column)
    rows = np.arange(24)
    np.testing.assert_allclose(half.volumes(rows), whole.volumes(rows), rtol=5e-4, atol=1e-6)
    assert whole.path != half.path
    assert whole.digest != half.digest
    assert recorded()[0].storage == "float32"  # each is found again


def test_an_interrupted_set_is_continued_and_the_same(monkeypatch, capsys):
    monkeypatch.setattr(row_file, "BLOCK_BYTES", 5 * 4 * 24**3)  # five subtomograms
    whole, _ = recorded(seed="5")
    whole.path.unlink()
    make = simulated.simulate

    def stopped(*args, **kwargs):
        yield from islice(make(*args, **kwargs), 12)
        raise KeyboardInterrupt

    monkeypatch.setattr(simulated, "simulate", stopped)
    with pytest.raises(KeyboardInterrupt):
        recorded(seed="5")
    assert not whole.path.exists()
    monkeypatch.undo()
    assert recorded(seed="5")[0].digest == whole.digest
    said = capsys.readouterr().err
    assert "simulate: an interrupted set is continued at subtomogram 10 of 24\n" in said


@pytest.mark.parametrize(
    ("box", "spacing"), [(16, 10), (20, 4), (24, 3), (24, 6), (27, 4), (33, 5), (40, 3)]
)
def test_structures_that_do_not_fit_are_named_with_spacing_and_box_that_do(box, spacing):
    given = {"box": str(box), "voxel_spacing": str(spacing)}
    words = f"fit into the box of {box * spacing} Å; found .*groel of 1"  # the largest
    with pytest.raises(InputError, match=words) as refused:
        simulate.structures_of(configure("smoke", given).simulation)
    said = refused.value.todo
    advised = {
        name: said.partition(f"{name}=")[2].split(maxsplit=1)[0].rstrip(",")
        for name in ("voxel_spacing", "box")
    }
    for name, text in advised.items():
        config = configure("smoke", {**given, name: text}).simulation
        assert len(simulate.structures_of(config)) == 3
    assert float(advised["voxel_spacing"]) < 1.2 * 190 / box  # no more than is needed


def test_too_few_items_are_told_before_a_run_is_opened():
    before = len(MlflowClient().search_runs(["0"]))
    with pytest.raises(InputError, match="at least one item of each class"):
        simulate.ensure_set(configure("smoke", {"items": "9"}))
    assert len(MlflowClient().search_runs(["0"])) == before


# What the page of a set shows


@pytest.mark.parametrize("snr", [0.05, 1.0])
def test_the_snr_of_a_tilt_series_is_measured_and_is_the_one_asked_for(snr, monkeypatch):
    """Noise is that of the items, clean or dirty; the signal is better known than from these."""
    monkeypatch.setattr(preview, "_PREVIEWED", 64)
    dirt = {"neighbours": "0.5", "membranes": "0.3", "gold": "0.3", "none": "1", "items": "32"}
    _, metrics = recorded(recipe="tilt_series", snr=str(snr), **dirt)
    assert metrics["snr/full_band"] == pytest.approx(snr, rel=0.02)
    assert metrics["snr/within_40_angstrom"] > 2 * metrics["snr/full_band"]


@pytest.mark.parametrize("recipe", ["convolution", "tilt_series"])
def test_a_preview_takes_items_of_every_class_apart(recipe, monkeypatch):
    monkeypatch.setattr(preview, "_PREVIEWED", 12)
    given = {**FEW, "recipe": recipe, "none": "1", "debris": "0", "snr": "0.5"}
    config = configure("smoke", given).simulation
    structures = simulate.structures_of(config)
    simulator = preview.maker(config, structures)()
    shown, ratios = preview._preview(simulator)
    assert (shown.signal.shape, ratios.shape) == ((4, 3, 24, 24, 24), (4, 3, 2))
    assert shown.class_names == ("clpp", "groel", "rubisco", NONE)
    assert not shown.signal[3].any()
    assert all(volume.any() for volume in shown.signal[:3].reshape(9, -1))
    again = simulator.parts(preview.PlanItem(1, preview.PREVIEW, 1 * 3 + 2))  # poses of its own
    np.testing.assert_array_equal(shown.signal[1, 2], again.signal)
    np.testing.assert_array_equal(shown.noise[1, 2], again.noise)
    measured = shown.signal[:3].var(axis=(2, 3, 4)) / shown.noise[:3].var(axis=(2, 3, 4))
    if recipe == "convolution":
        np.testing.assert_allclose(ratios[:3, :, 0], measured, rtol=1e-4)
    np.testing.assert_allclose(ratios[:3, :, 0], config.snr.low, rtol=0.15)


def test_a_picture_draws_each_item_once(monkeypatch):
    drawn = []
    draw = preview.Simulator._draw
    monkeypatch.setattr(
        preview.Simulator, "_draw", lambda self, item: drawn.append(item) or draw(self, item)
    )
    monkeypatch.setattr(preview, "_PREVIEWED", 64)
    config = configure("smoke", FEW).simulation
    preview._preview(preview.maker(config, simulate.structures_of(config))())
    assert len(drawn) == len(set(drawn)) == 3 * 22


def test_tilts_are_told_with_true_minus_signs():
    config = configure("smoke", {"tilt_min": "-76", "tilt_max": "47"}).simulation
    assert preview.tilts(config) == "−76° to 47°"
    assert preview.tilts(configure("smoke", {}).simulation) == "±60°"
    assert config.snr == Range(0.5, 0.5)
    title = preview._title(config, 3)
    assert title.startswith("3 classes, SNR 0.5, 27³ voxels at 10 Å, defocus 2..5 µm, tilts −76")


def test_the_page_of_a_set_has_its_picture():
    recorded()
    run = MlflowClient().search_runs(["0"], "attributes.status = 'FINISHED'")[0]
    found = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="figures")
    assert [file.path for file in found] == ["figures/montage.png"]
