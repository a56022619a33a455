"""One student under many settings, on the validation part alone: which of them to distil with.

Every temperature with every loss, seed and transfer set, and the control on hard labels, each a run
of its own. Trials that are finished are found again, so that an interrupted sweep goes on. Nothing
is registered, and no trial sees the test part.
"""

from collections.abc import Sequence
from itertools import product

from entrypoints.distill import check_student, student_digest
from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.training_data import data_config
from entrypoints.trials import TRIAL, distil_command, train_trial
from entrypoints.upstream import Upstream, as_trained, check_upstream, ensure_upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.evaluation.sweep import (
    CONTROL,
    Choice,
    Settings,
    Trial,
    choices,
    ranked,
    table_of_choices,
    table_of_trials,
    verdict,
)
from tomodistill.evaluation.sweep_figures import temperature_figure, transfer_figure
from tomodistill.evaluation.table import Interval
from tomodistill.scales import Scale
from tomodistill.tracking.links import run_url
from tomodistill.tracking.records import (
    log_config,
    log_description,
    log_figure,
    log_metrics,
    log_tags,
    log_text,
)
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, phase_run, take_over_run

# Flags, each a comma-separated list in the place of one of `distill`.
SWEPT = {
    "temperatures": "temperature",
    "losses": "loss",
    "seeds": "student_seed",
    "transfers": "transfer",
}
_PHASES = scale_flags("data", "simulation", "preprocessing", "teacher", "student")
_OF_ALL = {flag: text for flag, text in _PHASES.items() if flag not in (*SWEPT.values(), "labels")}
FLAGS = {
    "temperatures": "1,2,5,10",
    "losses": "hinton,soft_ce,logits",
    "seeds": "0,1,2",
    "transfers": "none",
    **_OF_ALL,
}
_CHOSEN = ("transfer", "loss", "temperature")
_NO_TEMPERATURE = "logits"  # the loss in which it has no part


def main(arguments: list[str]) -> None:
    """The entry point."""
    given, run_id = parse_flags(__doc__, FLAGS, arguments), take_over_run()
    scales = _scales(given)  # a value that is wrong is refused before hours of teacher
    first, name = scales[0], scales[0].student.student
    check_student(first)
    for scale in _by_transfer(scales).values():
        check_upstream(scale)
    with phase_run("sweep", name=f"sweep of {name}, {len(scales)} trials", run_id=run_id) as run:
        log_config(**data_config(first), preprocessing=first.preprocessing, teacher=first.teacher)
        trials = _trials(scales)
        found = choices(trials)
        command = _command(given, name, ranked(found)[0].settings)
        _record(trials, found, command)
    print(_page(found, command))
    print(f"\ntrials and figures: {run_url(run)}")


def _scales(given: dict[str, str]) -> list[Scale]:
    """Of each trial, seed by seed: what an interrupted sweep has then is still a comparison."""
    shared = {flag: given[flag] for flag in _OF_ALL}
    listed = {of: [text.strip() for text in given[flag].split(",")] for flag, of in SWEPT.items()}
    scales = []
    for seed in listed["student_seed"]:
        control = {"labels": "hard", "student_seed": seed}
        scales.append(scale_from({**shared, **control}))
        for transfer, loss, temperature in product(*(listed[of] for of in _CHOSEN)):
            softened = {} if loss == _NO_TEMPERATURE else {"temperature": temperature}
            chosen = {"transfer": transfer, "loss": loss, "student_seed": seed}
            scales.append(scale_from({**shared, **chosen, **softened}))
    return list(dict.fromkeys(scales))


def _by_transfer(scales: Sequence[Scale]) -> dict[str, Scale]:
    """Each transfer set with one of the scales that have it: upstream they are all alike.

    The last: a control, which would do with fewer views of soft labels, is never that.
    """
    return {scale.student.transfer: scale for scale in scales}


def _trials(scales: Sequence[Scale]) -> list[Trial]:
    """All upstream first: a transfer set that is refused costs no trial."""
    found = _by_transfer(scales).items()
    upstream = {transfer: ensure_upstream(scale) for transfer, scale in found}
    return [_ensure_trial(upstream[scale.student.transfer], scale.student) for scale in scales]


def _ensure_trial(upstream: Upstream, config: StudentConfig) -> Trial:
    settings = _settings(upstream, config)
    return ensure(
        TRIAL,
        digest=student_digest(upstream, config),
        name=f"{config.student}, {settings}, seed {config.seed}",
        make=lambda: train_trial(upstream, as_trained(config)),
        load=lambda run: _trial(run, settings, config.seed),
    )


def _settings(upstream: Upstream, config: StudentConfig) -> Settings:
    if config.labels == "hard":
        return Settings(CONTROL, None, "none", 0)
    temperature = None if config.loss == _NO_TEMPERATURE else config.temperature
    return Settings(config.loss, temperature, config.transfer, upstream.transfer_items)


def _trial(run: Run, settings: Settings, seed: int) -> Trial:
    measured = run.data.metrics
    ends = ("val/accuracy", "val/accuracy_low", "val/accuracy_high")
    return Trial(
        settings=settings,
        seed=seed,
        accuracy=Interval(*(measured[name] for name in ends)),
        items=int(measured["val/items"]),
        agreement=measured["val/agreement"],
        url=run_url(run),
    )


def _command(given: dict[str, str], student: str, best: Settings) -> str:
    """What distils with the best settings, and else as this sweep was asked to."""
    flags = {"student": student, "loss": best.loss}
    if best.temperature is not None:
        flags["temperature"] = f"{best.temperature:.15g}"
    if best.transfer_items:
        flags["transfer"] = best.transfer
    return distil_command(given, _OF_ALL, flags)


def _record(trials: Sequence[Trial], found: Sequence[Choice], command: str) -> None:
    """Tables and figures, into the active run; its page opens with the best."""
    for name, table in (("sweep", table_of_choices(found)), ("trials", table_of_trials(trials))):
        log_text(f"tables/{name}.md", table.markdown())
        log_text(f"tables/{name}.csv", table.csv())
    log_figure("temperature", temperature_figure(found))
    if len({choice.settings.transfer for choice in found}) > 1:
        log_figure("transfer", transfer_figure(found))
    log_description(_page(found, command))
    best = ranked(found)[0]
    log_tags({"best": str(best.settings), "best.command": command})
    log_metrics({"trials": len(trials), "best/val_accuracy": best.accuracy.value})


def _page(found: Sequence[Choice], command: str) -> str:
    """Markdown."""
    table = table_of_choices(found).markdown()
    return f"{verdict(found)}\n\n    {command}\n\n{table}"
