"""Put the version that was in production before back into production."""

from entrypoints.flags import parse_flags
from tomodistill.errors import InputError
from tomodistill.tracking.audit import who_and_when
from tomodistill.tracking.registry import STUDENTS, previous, set_production
from tomodistill.tracking.runs import phase_run, take_over_run

FLAGS: dict[str, str] = {}


def main(arguments: list[str]) -> None:
    """The entry point."""
    parse_flags(__doc__, FLAGS, arguments)
    run_id, back = take_over_run(), previous()
    if back is None:
        raise InputError(
            expected="a version that was in production before",
            found="none",
            todo="Promote one: mlflow run . -e promote -P version=N",
        )
    with phase_run("rollback", name=f"roll back to {back.version}", run_id=run_id):
        by, at = who_and_when()
        audit = {"promoted.by": by, "promoted.at": at, "promoted.forced": "no, rolled back"}
        set_production(back.version, audit)
    print(f"in production: version {back.version} of {STUDENTS}")
