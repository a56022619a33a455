"""Put the version that was in production before back into production."""

import getpass
from datetime import UTC, datetime

from entrypoints.flags import parse_flags
from tomodistill.errors import InputError
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
        now = datetime.now(UTC).isoformat(timespec="seconds")
        set_production(
            back.version,
            {"promoted.by": getpass.getuser(), "promoted.at": now, "promoted.forced": "rollback"},
        )
    print(f"in production: version {back.version} of {STUDENTS}")
