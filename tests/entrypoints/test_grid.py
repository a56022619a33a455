"""`grid` at `smoke` scale."""

import csv
import io
import signal
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from entrypoints import grid, simulate
from entrypoints.__main__ import main as entry
from tests.processes import stop_after, working_in
from tomodistill.scales import configure
from tomodistill.subtomograms.dataset import open_set

# The recipe that brings every box to the SNR asked for, and needs no set's noise level measured.
FEW = ["--scale", "smoke", "--recipe", "convolution", "--box", "24"]
COMMAND = [*FEW, "--snrs", "0.5,0.1", "--tilts", "60,-76..47"]
PAIRS = [("0.5", (-60, 60)), ("0.5", (-76, 47)), ("0.1", (-60, 60)), ("0.1", (-76, 47))]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A grid that was stopped before its third set, then finished."""
    folder = tmp_path_factory.mktemp("grid")
    with working_in(folder, f"sqlite:///{folder}/mlflow.db"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "ensure_recorded", stop_after(2, grid.ensure_recorded))
        assert entry(["grid", *COMMAND]) == 128 + signal.SIGINT
        patch.undo()
        assert entry(["grid", *COMMAND]) == 0
        yield folder


def runs(phase, status="FINISHED"):
    wanted = f"tags.phase = '{phase}' AND attributes.status = '{status}'"
    return MlflowClient().search_runs(["0"], wanted, order_by=["start_time"])


def ids(found):
    return [run.info.run_id for run in found]


def table(run):
    text = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/tables/grid.csv")
    return list(csv.DictReader(io.StringIO(text)))


def artifacts(run, folder):
    return {a.path for a in MlflowClient().list_artifacts(run.info.run_id, folder)}


def test_an_interrupted_grid_goes_on_with_what_is_missing(store):
    stopped, finished = runs("grid", "KILLED"), runs("grid")
    assert (len(stopped), len(finished), len(runs("simulate"))) == (1, 1, 4)
    parents = [run.data.tags["mlflow.parentRunId"] for run in runs("simulate")]
    assert parents == ids(stopped) * 2 + ids(finished) * 2


def test_the_table_holds_what_the_sets_are(store):
    rows = table(runs("grid")[0])
    assert [row["SNR"] for row in rows] == [snr for snr, _ in PAIRS]
    assert [row["tilts"] for row in rows] == ["±60°", "−76° to 47°"] * 2
    for row, (snr, tilt_range), run in zip(rows, PAIRS, runs("simulate"), strict=True):
        data = open_set(Path(row["path"]), verify=True)
        assert data.digest.startswith(row["set"])
        assert run.info.run_id in row["set_url"]
        assert (data.tilt_range, len(data.ids), row["items"]) == (tilt_range, 24, "24")
        assert data.snr_range == pytest.approx((float(snr), float(snr)))
        assert data.header.recipe["snr"] == {"low": float(snr), "high": float(snr)}
        assert data.header.recipe["recipe"] == "convolution"
    assert len({row["set"] for row in rows}) == 4


def test_the_snr_is_measured_and_is_the_one_asked_for(store):
    for row, run in zip(table(runs("grid")[0]), runs("simulate"), strict=True):
        metrics = run.data.metrics
        assert float(row["SNR measured"]) == metrics["snr/full_band"]
        assert float(row["SNR within 40 Å"]) == metrics["snr/within_40_angstrom"]
        assert metrics["snr/full_band"] == pytest.approx(float(row["SNR"]), rel=0.03)
        assert metrics["snr/within_40_angstrom"] > 2 * metrics["snr/full_band"]
        assert (metrics["items"], metrics["classes"]) == (24, 3)


def test_tables_and_pictures_stand_on_the_page(store):
    run = runs("grid")[0]
    assert artifacts(run, "tables") == {"tables/grid.csv", "tables/grid.md"}
    assert artifacts(run, "figures") == {"figures/grid.png"}
    assert run.data.tags["mlflow.note.content"].startswith("**4 sets**\n\n| set | SNR | tilts |")
    assert {"sets": 4, "items": 96}.items() <= run.data.metrics.items()
    for made in runs("simulate"):
        assert artifacts(made, "figures") == {"figures/montage.png"}


def test_a_second_grid_makes_nothing(store, capsys):
    before = ids(runs("simulate"))
    grid.main(COMMAND)
    assert ids(runs("simulate")) == before
    assert table(runs("grid")[-1]) == table(runs("grid")[0])
    said = capsys.readouterr().out
    assert said.count("simulate: found in run") == 4
    assert "| 0.1 | −76° to 47° | 24 | " in said


def test_a_set_of_the_grid_is_the_one_of_simulate(store):
    changes = {"recipe": "convolution", "box": "24", "snr": "0.1", "tilt_min": "-76"}
    data = simulate.ensure_set(configure("smoke", {**changes, "tilt_max": "47"}))
    assert data.digest.startswith(table(runs("grid")[0])[3]["set"])
    assert len(runs("simulate")) == 4


def test_the_picture_shows_one_particle_under_noise_that_differs_in_its_level(store, monkeypatch):
    shown = []
    monkeypatch.setattr(grid, "grid_figure", lambda *arrays, **words: shown.append((arrays, words)))
    given = {**grid.FLAGS, **dict(zip((n[2:] for n in COMMAND[::2]), COMMAND[1::2], strict=True))}
    configs = grid.configs_of(given)
    grid._figure(configs, simulate.structures_of(configs[0]))
    ((signal, items), words), *_ = shown
    assert (signal.shape, items.shape) == ((2, 24, 24, 24), (2, 2, 24, 24, 24))
    assert (words["snrs"], words["tilts"]) == (["0.5", "0.1"], ["±60°", "−76° to 47°"])
    assert words["title"].startswith("one rubisco,")  # clpp < rubisco < groel
    assert np.corrcoef(signal[0].ravel(), signal[1].ravel())[0, 1] > 0.8  # another wedge
    noises = items - signal
    np.testing.assert_allclose(noises[1], noises[0] * 5**0.5, rtol=1e-3, atol=1e-4)
    for n, snr in enumerate((0.5, 0.1)):
        measured = signal.var(axis=(1, 2, 3)) / noises[n].var(axis=(1, 2, 3))
        np.testing.assert_allclose(measured, snr, rtol=0.1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--snrs", "0.5,0"], "snr: a positive, finite ratio"),
        (["--snrs", "0.5,x"], "snr: a number, or a range"),
        (["--snrs", "0.5,"], "snr: a number, or a range"),
        (["--tilts", "60,95"], "tilt_max: -90 <= tilt_min (-95.0)"),
        (["--tilts", "60,47..-76"], "tilt_min (47.0) < tilt_max"),
        (["--tilts", "60,-50"], "tilt_min (50.0) < tilt_max"),
        (["--recipe", "tilt_series", "--tilts", "60,5..8"], "tilt_step: 0.1 to 3 degrees"),
        (["--tilts", "60,wide"], "tilts: the largest tilt (60), or both ends (-76..47)"),
        (["--items", "9"], "at least one item of each class"),
    ],
)
def test_an_impossible_grid_is_refused_before_its_first_set(store, capsys, wrong, words):
    before = MlflowClient().search_runs(["0"])
    assert entry(["grid", *COMMAND, *wrong]) == 2
    assert words in capsys.readouterr().err
    assert len(MlflowClient().search_runs(["0"])) == len(before)


def test_pairs_that_are_the_same_set_count_once():
    given = {**grid.FLAGS, "scale": "smoke", "snrs": "0.1, 0.10,0.05..0.5", "tilts": "60,-60..60"}
    configs = grid.configs_of(given)
    assert [(str(c.snr), c.tilt_range) for c in configs] == [
        ("0.1", (-60, 60)),
        ("0.05..0.5", (-60, 60)),
    ]


def test_the_default_grid_has_twelve_sets_about_the_papers_snr():
    configs = grid.configs_of(grid.FLAGS)
    assert len(configs) == 12
    assert sorted({c.snr.low for c in configs}) == [0.025, 0.05, 0.1, 0.2]
    assert {c.tilt_range for c in configs} == {(-60, 60), (-50, 50), (-40, 40)}
    assert len({(c.items, c.box, c.classes) for c in configs}) == 1
