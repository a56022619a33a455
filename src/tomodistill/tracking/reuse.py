"""A phase that already ran with the same inputs is found again, not run again."""

from collections.abc import Callable

from tomodistill.tracking.runs import Run, close_as_reused, find_finished, phase_run, read_run


def ensure_run(
    phase: str,
    make: Callable[[], None],
    *,
    name: str,
    digest: str,
    run_id: str | None = None,
) -> Run:
    """The finished run of a phase with these inputs; `make` records a new one if there is none.

    `run_id`: the run that `mlflow run` opened for this phase, if any.
    """
    found = find_finished(phase, digest)
    if found is None:
        with phase_run(phase, name=name, digest=digest, run_id=run_id) as run:
            make()
        return read_run(run.info.run_id)
    if run_id:
        close_as_reused(run_id, found)
    return found
