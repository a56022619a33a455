"""A phase that already ran with the same inputs is found again, not run again."""

import sys
from collections.abc import Callable
from typing import TypeVar

from tomodistill.errors import InputError
from tomodistill.places import one_at_a_time
from tomodistill.tracking.runs import Run, close_as_reused, find_finished, phase_run, read_run

Result = TypeVar("Result")


def ensure(
    phase: str,
    *,
    digest: str,
    name: str,
    make: Callable[[], None],
    load: Callable[[Run], Result],
    run_id: str | None = None,
) -> Result:
    """What a phase with these inputs made: `load`ed from its finished run, or made now.

    `make` records into a new run. A run whose result `load` refuses with an InputError (files gone
    or damaged) counts as none. `run_id`: the run that `mlflow run` opened for this phase, if any.
    """
    waiting = f"{phase}: another process is making it; waiting"
    with one_at_a_time(f"{phase}-{digest[:16]}", waiting):
        found = _found(phase, digest, load)
        if found is None:
            with phase_run(phase, name=name, digest=digest, run_id=run_id) as run:
                make()
            return load(read_run(run.info.run_id))
        if run_id:
            close_as_reused(run_id, found[0])
        return found[1]


def _found(phase: str, digest: str, load: Callable[[Run], Result]) -> tuple[Run, Result] | None:
    run = find_finished(phase, digest)
    if run is None:
        return None
    try:
        result = load(run)
    except InputError as error:
        print(f"{phase}: made again: {error.expected}: {error.found}", file=sys.stderr)
        return None
    print(f"{phase}: found in run {run.info.run_id}", flush=True)
    return run, result
