"""What goes into the active run: configuration, metrics, figures, files, data sets."""

import re
import warnings
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

import mlflow
from matplotlib.figure import Figure
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import LoggedModelInput, Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from tomodistill.subtomograms.dataset import SPLITS, SubtomogramSet
from tomodistill.tracking.artifacts import fetch

_ODD = re.compile(r"[^\w. /:-]")  # signs that MLflow takes in no name of a metric
_LONGEST_DATASET_DIGEST = 36  # characters, MLflow's limit


def log_config(**phases: Any) -> None:
    """Every field of each phase's configuration as a parameter: "student.temperature" and so on.

    `mlflow run` has logged the declared parameters as it got them, under names without a dot;
    parameters are write-once, so those names must not be used again.
    """
    mlflow.log_params(
        {
            f"{phase}.{name}": value
            for phase, config in phases.items()
            for name, value in vars(config).items()
        }
    )


def log_metrics(
    metrics: Mapping[str, float],
    *,
    step: int = 0,
    model_id: str | None = None,
    data: SubtomogramSet | None = None,
) -> None:
    """Metrics by the names that teachers and students share; `step` is the epoch.

    With `model_id` and `data` they also stand on that model's page, beside that data set. Classes
    and files may be called anything, metrics not: other signs become _.
    """
    dataset = _dataset(data) if data else None
    named = {_ODD.sub("_", name): value for name, value in metrics.items()}
    mlflow.log_metrics(named, step=step, model_id=model_id, dataset=dataset)


def log_tags(tags: Mapping[str, str]) -> None:
    """Searchable tags."""
    mlflow.set_tags(dict(tags))


def log_report(name: str, report: Mapping[str, Any]) -> None:
    """A table as an artifact, `reports/<name>.json`."""
    mlflow.log_dict(dict(report), f"reports/{name}.json")


def log_text(name: str, text: str) -> None:
    """A text as an artifact: Markdown, CSV and the like, by its suffix."""
    mlflow.log_text(text, name)


def log_description(markdown: str) -> None:
    """What the page of the active run opens with."""
    mlflow.set_tag(MLFLOW_RUN_NOTE, markdown)


def log_file(path: Path) -> None:
    """A file as an artifact, under its own name."""
    mlflow.log_artifact(str(path))


def log_figure(name: str, figure: Figure) -> None:
    """A figure as an artifact, `figures/<name>.png`."""
    mlflow.log_figure(figure, f"figures/{name}.png", save_kwargs={"dpi": 120})


def log_set(data: SubtomogramSet, context: str, *, teacher_model_id: str | None = None) -> None:
    """The set as a data set of the run, with its real digest; shows the teacher as input model."""
    teacher = LoggedModelInput(teacher_model_id) if teacher_model_id else None
    mlflow.log_input(_dataset(data), context=context, model=teacher)


def _dataset(data: SubtomogramSet) -> "_SetDataset":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # MLflow registers its local source twice
        source = resolve_dataset_source(str(data.path))
    digest = data.digest[:_LONGEST_DATASET_DIGEST]
    dataset = _SetDataset(source, name=_name(data), digest=digest)
    dataset.profile = _profile(data)
    return dataset


def _name(data: SubtomogramSet) -> str:
    """Of the set, in the UI."""
    low, high = (f"{snr:.3g}" for snr in data.snr_range)
    snr = low if low == high else f"{low} to {high}"
    known = "" if snr == "nan" else f", SNR {snr}"
    return f"{len(data.header.class_names)} classes, {len(data.ids)} items{known}"


def _profile(data: SubtomogramSet) -> dict[str, Any]:
    """What the UI shows of a set."""
    header = data.header
    return {
        **{f"items, {part}": len(data.rows(part)) for part in SPLITS},
        "classes": ", ".join(header.class_names),
        "box, voxels": header.box,
        "voxel spacing, Å": header.voxel_spacing,
        "tilt range, degrees": _known(data.tilt_range),
        "snr": _known(data.snr_range),
    }


def _known(ends: tuple[float, float]) -> tuple[float, float] | str:
    """MLflow's JSON has no NaN."""
    return "unknown" if isnan(ends[0]) else ends


class _SetDataset(MetaDataset):
    """MLflow's own digests cover the first 10,000 values only: a sixth of one volume."""

    profile: Any = None


def artifact(run: Run, name: str, folder: Path) -> Path:
    """Fetch an artifact of a run into `folder`. Raises InputError if the store has lost it."""
    return fetch(f"{run.info.artifact_uri}/{name}", folder)  # "runs:/" would hide why it fails
