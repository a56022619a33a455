from dataclasses import replace

import mlflow
import numpy as np
import pytest

from tomodistill.tracking.records import log_metrics, log_set


@pytest.mark.parametrize(
    ("snr", "words"),
    [
        ([0.5] * 12, ", SNR 0.5"),
        ([0.025] * 12, ", SNR 0.025"),
        (np.linspace(0.10004, 0.49996, 12), ", SNR 0.1 to 0.5"),
        ([np.nan] * 6 + [2.0] * 6, ", SNR 2"),
        ([np.nan] * 12, ""),
    ],
)
def test_a_set_is_named_by_what_it_holds(client, subtomogram_set, snr, words):
    columns = {**subtomogram_set.columns, "snr": np.array(snr)}
    with mlflow.start_run() as run:
        log_set(replace(subtomogram_set, columns=columns), "training")
    (logged,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert logged.dataset.name == f"3 classes, 12 items{words}"
    assert logged.dataset.digest == subtomogram_set.digest[:36]


def test_metrics_of_classes_and_files_of_any_name(client):
    with mlflow.start_run() as run:
        log_metrics({"share/70S (E. coli) + tRNA": 0.5, "test/β-gal, 50 %/accuracy": 0.9})
    logged = client.get_run(run.info.run_id).data.metrics
    assert logged == {"share/70S _E. coli_ _ tRNA": 0.5, "test/β-gal_ 50 _/accuracy": 0.9}
