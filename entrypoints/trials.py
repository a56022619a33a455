"""Trials: students that are trained to be compared on the validation part, and never registered."""

import shlex
from collections.abc import Callable, Mapping

from entrypoints.distill import lineage, train_student
from entrypoints.measure import compare
from entrypoints.training import Trained
from entrypoints.upstream import Upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.tracking.records import log_config, log_metrics, log_set, log_tags

TRIAL = "trial"  # phase: the saved view of finished trainings leaves it out

Measure = Callable[[Trained], Mapping[str, float]]


def train_trial(
    upstream: Upstream, config: StudentConfig, further: Measure = lambda trained: {}
) -> None:
    """Into the active run: a student, its metrics on the validation part, and `further` ones."""
    log_config(preprocessing=upstream.scale.preprocessing, student=config)
    log_tags(lineage(upstream, config))
    log_set(upstream.data, "training", teacher_model_id=upstream.teacher.model_id)
    trained = train_student(upstream, config)
    _, metrics = compare("val", trained, upstream, config)
    log_metrics(metrics, step=trained.history.epochs)  # in place of its learning curves' last point
    log_metrics(further(trained))
    if trained.checkpoint:
        trained.checkpoint.remove()


def distil_command(
    given: Mapping[str, str], defaults: Mapping[str, str], chosen: Mapping[str, str]
) -> str:
    """What distils with the `chosen` flags, and else as was asked for with those `given`.

    Of these only those with a default in `defaults` are flags of `distill`.
    """
    asked = {flag: given[flag] for flag, text in defaults.items() if given[flag] != text}
    flags = (f"-P {shlex.quote(f'{flag}={text}')}" for flag, text in {**asked, **chosen}.items())
    return f"mlflow run . -e distill {' '.join(flags)}"
