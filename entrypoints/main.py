"""The paper's comparison: every student on soft and on hard labels, same teacher, same budget.

Phases and students that are finished are found again, so that an interrupted comparison goes on.
"""

from dataclasses import replace

from entrypoints.compare import record, show
from entrypoints.confidence import check_held_out
from entrypoints.distill import check_student, ensure_student
from entrypoints.flags import parse_flags, scale_flags, scale_from
from entrypoints.training_data import data_config
from entrypoints.upstream import check_upstream, ensure_upstream
from tomodistill.distillation.config import StudentConfig
from tomodistill.scales import Scale
from tomodistill.tracking.links import run_url
from tomodistill.tracking.records import log_config, log_set
from tomodistill.tracking.results import result_of
from tomodistill.tracking.runs import phase_run, read_run, take_over_run

STUDENTS = "students"  # flag: which to compare
LABELS = ("hard", "soft")
_PHASES = scale_flags("data", "simulation", "preprocessing", "teacher", "student", "confidence")
FLAGS = {STUDENTS: "s1,s2,s3"} | {
    flag: default for flag, default in _PHASES.items() if flag not in ("student", "labels")
}


def main(arguments: list[str]) -> None:
    """The entry point."""
    given = parse_flags(__doc__, FLAGS, arguments)
    names, run_id = given.pop(STUDENTS), take_over_run()
    scale = scale_from(given)
    students = _students(names, scale)  # what is wrong is refused before hours of teacher
    name = f"comparison of {names}, seed {scale.student.seed}"
    with phase_run("main", name=name, run_id=run_id) as parent:
        log_config(**data_config(scale), preprocessing=scale.preprocessing)
        upstream = ensure_upstream(scale)
        log_set(upstream.data, "comparison")
        results = [result_of(read_run(upstream.teacher.run_id))]
        results += [ensure_student(upstream, student) for student in students]
        record(results)
    show(results)
    print(f"tables and figure: {run_url(parent)}")


def _students(names: str, scale: Scale) -> list[StudentConfig]:
    """Every student with every kind of label."""
    configs = [
        replace(scale.student, student=name, labels=labels)
        for name in dict.fromkeys(name.strip() for name in names.split(","))
        for labels in LABELS
    ]
    for config in configs:
        check_student(replace(scale, student=config))
    check_upstream(scale)
    check_held_out(scale)
    return configs
