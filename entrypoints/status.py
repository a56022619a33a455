"""What is in production, and why; and which runs say RUNNING though nothing works on them."""

from pathlib import Path

from entrypoints import NAMES
from entrypoints.flags import parse_flags
from tomodistill.tracking.lost import mark_lost
from tomodistill.tracking.registry import (
    CLASS_NAMES,
    STUDENTS,
    in_production,
    previous,
)
from tomodistill.tracking.runs import phase_run, take_over_run
from tomodistill.tracking.versions import ResolvedVersion

FLAGS: dict[str, str] = {}
PROJECT = Path(__file__).resolve().parents[1]
_FACTS = (
    "student",
    "labels",
    CLASS_NAMES,
    "teacher",
    "teacher.run_id",
    "data.sha256",
    "soft_labels.sha256",
    "soft_labels.run_id",
)
_AUDIT = ("promoted.by", "promoted.at", "promoted.gates", "promoted.measured", "promoted.forced")


def main(arguments: list[str]) -> None:
    """The entry point."""
    parse_flags(__doc__, FLAGS, arguments)
    run_id = take_over_run()
    print(describe(in_production(), previous()))
    for lost in mark_lost(NAMES, PROJECT):
        print(f"marked KILLED: run {lost.run_id} ({lost.name}): {lost.why}")
    if run_id:
        with phase_run("status", name="status", run_id=run_id):
            pass


def describe(current: ResolvedVersion | None, before: ResolvedVersion | None) -> str:
    """A few lines for a terminal."""
    if current is None:
        return "in production: nothing. Promote one: mlflow run . -e promote -P student=s3"
    lines = [f"in production: version {current.version} of {STUDENTS} (run {current.run_id})"]
    lines += [
        f"  {name:<20} {current.tags[name]}" for name in _FACTS + _AUDIT if name in current.tags
    ]
    lines.append(f"before it: {f'version {before.version}' if before else 'none'}")
    return "\n".join(lines)
