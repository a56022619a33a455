"""Fast students of many architectures under a budget of time: which of them to distil.

The table's own first, then what a sampler proposes, each a run of its own that learns from soft
labels as `distill` would have it. Speed is measured beside the teacher, accuracy on the
validation part. The fastest that is accurate enough is distilled and registered; no other sees the
test part. Trials that are finished are found again, so that a search that was stopped goes on.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from entrypoints.confidence import check_held_out
from entrypoints.distill import ensure_student, student_digest
from entrypoints.engines import exported
from entrypoints.flags import config_flags, config_from, parse_flags, scale_flags, scale_from
from entrypoints.measure import measure_speed
from entrypoints.training import Trained, cost_of
from entrypoints.training_data import data_config
from entrypoints.trials import TRIAL, distil_command, train_trial
from entrypoints.upstream import Upstream, check_upstream, ensure_upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.evaluation.comparison import Result, summary
from tomodistill.evaluation.pareto import Point, choose, point_of, table_of_points, verdict
from tomodistill.evaluation.pareto_figure import pareto_figure
from tomodistill.evaluation.search import Proposals, Search
from tomodistill.networks.table import network_names
from tomodistill.scales import Scale
from tomodistill.tracking.links import run_url
from tomodistill.tracking.provenance import phase_digest
from tomodistill.tracking.records import (
    log_config,
    log_description,
    log_figure,
    log_metrics,
    log_set,
    log_tags,
    log_text,
)
from tomodistill.tracking.registry import STUDENTS
from tomodistill.tracking.results import find_results, result_of
from tomodistill.tracking.reuse import ensure
from tomodistill.tracking.runs import Run, phase_run, read_run, take_over_run

_PHASES = scale_flags("data", "simulation", "preprocessing", "teacher", "student", "confidence")
_OF_DISTILL = {flag: text for flag, text in _PHASES.items() if flag not in ("student", "labels")}
FLAGS = {**config_flags(Search), **_OF_DISTILL}
_DRAWN = ("s1", "s2", "s3")  # students of the paper that are shown where they were distilled before


def main(arguments: list[str]) -> None:
    """The entry point."""
    given, run_id = parse_flags(__doc__, FLAGS, arguments), take_over_run()
    search: Search = config_from(Search, given)
    scale = scale_from({flag: given[flag] for flag in _OF_DISTILL})
    check_upstream(scale)  # what is wrong is refused before hours of teacher
    check_held_out(scale)
    name = f"search for a fast student, {search.minutes:g} minutes"
    with phase_run("search", name=name, run_id=run_id) as run:
        log_config(
            **data_config(scale),
            preprocessing=scale.preprocessing,
            teacher=scale.teacher,
            search=search,
        )
        page = _search(scale, search, given)
    print(page)
    print(f"\ntrials and figure: {run_url(run)}")


def _search(scale: Scale, search: Search, given: dict[str, str]) -> str:
    """Into the active run, whose page it returns: trials, the choice, the student of it."""
    upstream = ensure_upstream(scale)
    log_set(upstream.data, "search")
    tried = _try_networks(upstream, search)
    chosen = choose(tried, min_accuracy_rate=search.min_accuracy_rate)
    student = ensure_student(upstream, replace(scale.student, student=chosen.network))
    command = distil_command(given, _OF_DISTILL, {"student": chosen.network})
    said = verdict(tried, min_accuracy_rate=search.min_accuracy_rate)
    page = f"{said}\n\n{_registered(student, command)}"
    _record(tried, _references(upstream), chosen, page)
    log_tags({"chosen": chosen.network, "chosen.command": command})
    return page


def _try_networks(upstream: Upstream, search: Search) -> list[Point]:
    """One after another until the time is over; those found again take almost none of it."""
    header, points = upstream.data.header, list[Point]()
    box = upstream.scale.preprocessing.edge(header.box)
    proposals = Proposals(box=box, classes=len(header.class_names), seed=search.search_seed)
    end = monotonic() + 60 * search.minutes
    while len(points) < search.trials and monotonic() < end and (name := proposals.ask()):
        point = _ensure_trial(upstream, replace(upstream.scale.student, student=name))
        proposals.tell(name, accuracy=point.accuracy.value, speedup=point.speedup.value)
        points.append(point)
    return points


def _ensure_trial(upstream: Upstream, config: StudentConfig) -> Point:
    return ensure(
        TRIAL,
        digest=phase_digest(
            packages=(), student=student_digest(upstream, config), measured="accuracy and speed"
        ),
        name=f"{config.student}, seed {config.seed}",
        make=lambda: train_trial(upstream, config, lambda trained: _cost(trained, upstream)),
        load=lambda run: _point(run, config.student),
    )


def _cost(trained: Trained, upstream: Upstream) -> dict[str, float]:
    """In size, work and time."""
    metrics = cost_of(trained.model).metrics()
    with exported(trained.model, trained.classifier, upstream.data) as engines:
        speed = measure_speed(trained, engines, upstream)
    return metrics | speed


def _point(run: Run, network: str) -> Point:
    return point_of(Result(network, "student", "soft", run.data.metrics, url=run_url(run)))


def _references(upstream: Upstream) -> list[Point]:
    """The teacher, and the paper's students that were distilled from it on this set before."""
    teacher, data = upstream.teacher, upstream.data
    same = f"tags.`data.sha256` = '{data.digest}' AND tags.`teacher.run_id` = '{teacher.run_id}'"
    newest: dict[str, Result] = {}
    for result in find_results(f"{same} AND tags.labels = 'soft'"):
        newest.setdefault(result.network, result)
    drawn = [newest[name] for name in _DRAWN if name in newest]
    return [point_of(of) for of in (result_of(read_run(teacher.run_id)), *drawn)]


def _registered(student: Result, command: str) -> str:
    """Markdown: what became of the chosen one, and what to do next."""
    return (
        f"Distilled and registered as version {student.version} of {STUDENTS}, on the test part: "
        f"{summary(student)}.\n\n    {command}\n    mlflow run . -e promote -P student="
        f"{student.network} -P version={student.version}"
    )


def _record(tried: Sequence[Point], references: Sequence[Point], chosen: Point, page: str) -> None:
    """Table and figure of all, into the active run; its page opens with the choice."""
    points = [*references, *tried]
    table = table_of_points(points)
    log_text("tables/networks.md", table.markdown())
    log_text("tables/networks.csv", table.csv())
    teacher, named = references[0].network, network_names("student")
    log_figure("pareto", pareto_figure(points, teacher=teacher, chosen=chosen.network, named=named))
    log_description(f"{page}\n\n{table.markdown()}")
    log_metrics({"trials": len(tried), "chosen/val_accuracy": chosen.accuracy.value})
