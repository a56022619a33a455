"""Classify particle lists and boxes, of any number, with a student of the registry.

Lists come out as they came in, with a class for each particle. A job that was stopped goes on when
the same command is given again.
"""

import hashlib
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from entrypoints.flags import config_flags, config_from, parse_flags
from tomodistill import places
from tomodistill.bulk.backends import Backend
from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.bulk.complete import Completed, complete, compute, missing
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import MANIFEST, Job
from tomodistill.bulk.outputs import LISTS, write_lists
from tomodistill.bulk.page import write_page
from tomodistill.bulk.plan import check_same, plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.shard import compute_shard
from tomodistill.bulk.spent import note_time
from tomodistill.errors import InputError
from tomodistill.scales import AUTO
from tomodistill.tracking.records import log_config, log_file, log_metrics, log_tags
from tomodistill.tracking.registry import download, resolve
from tomodistill.tracking.runs import Run, phase_run, take_over_run
from tomodistill.tracking.store import check_store

OUT, PART, ALL = "out", "part", "all"
FLAGS = {**config_flags(BulkConfig), OUT: AUTO, PART: ALL, **config_flags(ClusterConfig)}


def main(arguments: list[str]) -> None:
    """The entry point."""
    given = parse_flags(__doc__, FLAGS, arguments, BulkConfig, ClusterConfig)
    config: BulkConfig = config_from(BulkConfig, given)
    cluster: ClusterConfig = config_from(ClusterConfig, given)
    part, of = _part(given[PART])
    folder = _folder(given[OUT], config)
    with _recorded(config, given[PART]) as run:
        job = _job(folder, config)
        print(f"predict: {job.particles:,} particles in {len(job.shards)} shards: {folder}")
        print(
            f"predict: {job.model}; contrast {job.facts.contrast}, from {job.facts.contrast_from}"
        )
        progress = Progress(job.particles, _standing(job))
        try:
            if of > 1:
                _compute_part(job, cluster, progress, part, of)
            if of == 1 or not missing(job):
                _finish(job, complete(job, lambda: _backend(job, cluster), progress), run)
        finally:
            progress.close()
            note_time(job, progress)


def _part(text: str) -> tuple[int, int]:
    """1 and 1 for all, 3 and 20 for "3/20". Raises InputError for what is none."""
    part, _, of = text.partition("/")
    if text == ALL:
        return 1, 1
    if part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of):
        return int(part), int(of)
    raise InputError(
        expected=f"{PART}: {ALL}, or one of a job array as 3/20, from 1/20 to 20/20",
        found=repr(text),
        todo="With SLURM: sbatch --array=1-20, and part=$SLURM_ARRAY_TASK_ID/20",
    )


def _folder(out: str, config: BulkConfig) -> Path:
    """Where the job is; by default the same for the same flags."""
    if out != AUTO:
        return Path(out).absolute()
    known = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()
    return (places.data_folder() / "predictions" / known[:12]).absolute()


def _recorded(config: BulkConfig, part: str) -> AbstractContextManager[Run | None]:
    """The run of a whole job; the tasks of an array need no tracking store."""
    run_id = take_over_run()
    if part != ALL and not run_id:
        return nullcontext()
    check_store()
    name = f"predict {Path(config.particles).name}" + ("" if part == ALL else f", part {part}")
    return phase_run("predict", name=name, run_id=run_id)


def _job(folder: Path, config: BulkConfig) -> Job:
    """The job that stands in the folder, or a new one."""
    if not (folder / MANIFEST).exists():
        version, name = _version(config.model)
        plan(folder, config, version=version, model=name)
    job = Job.open(folder)
    check_same(job, config)  # another process may have planned meanwhile, with other flags
    return job


def _version(model: str) -> tuple[Path, str]:
    """Folder of a version, and what people call it."""
    if Path(model).is_dir():
        return Path(model), f"{Path(model).absolute()}"
    resolved = resolve(model)
    return download(resolved, places.models()), resolved.title


def _backend(job: Job, cluster: ClusterConfig) -> Backend:
    return open_backend(job.folder, compute_shard, cluster)


def _standing(job: Job) -> int:
    """Particles whose shards stand."""
    return sum(map(job.size, job.standing()))


def _compute_part(job: Job, cluster: ClusterConfig, progress: Progress, part: int, of: int) -> None:
    shards = missing(job, part=part, of=of)
    aside = compute(job, lambda: _backend(job, cluster), shards, progress)
    left = len(missing(job))
    print(f"predict: part {part} of {of} is done; {left} shards of all parts are missing")
    _check_none_aside(job, aside)


def _finish(job: Job, completed: Completed, run: Run | None) -> None:
    gathered = write_lists(job)
    page = write_page(job, gathered, completed)
    counts = dict(zip(gathered.names, gathered.confidences.counts.tolist(), strict=True))
    if run:
        _record(job, completed, counts, page)
    width = max(map(len, counts))
    for name, count in counts.items():
        print(f"  {name:<{width}} {count:>12,}  {count / job.particles:6.1%}")
    print(f"classified lists: {job.folder / LISTS}\nreport: {page}")
    _check_none_aside(job, completed.aside)


def _record(job: Job, completed: Completed, counts: dict[str, int], page: Path) -> None:
    log_config(predict=job.config)
    log_tags({"version": job.model, "job.sha256": job.digest, "out": str(job.folder)})
    shares = {f"share/{name}": count / job.particles for name, count in counts.items()}
    log_metrics({"particles": job.particles, **shares})
    if completed.particles:
        log_metrics({"particles_per_second": completed.particles / completed.seconds})
    log_file(page)


def _check_none_aside(job: Job, aside: dict[int, str]) -> None:
    if aside:
        shard, why = next(iter(aside.items()))
        raise InputError(
            expected="every shard to be classified",
            found=f"{len(aside)} of {len(job.shards)} that failed again and again; shard {shard}: "
            f"{why}",
            todo="Mend that and give the same command again: only these are computed.",
        )
