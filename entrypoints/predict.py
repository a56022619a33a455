"""Classify particle lists and boxes, of any number, with a student of the registry.

Lists come out as they came in, with a class for each particle. A job that was stopped goes on when
the same command is given again.
"""

import hashlib
import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from entrypoints.flags import config_flags, config_from, parse_flags
from tomodistill import places
from tomodistill.bulk.backends import Backend
from tomodistill.bulk.cluster import ClusterConfig, open_backend
from tomodistill.bulk.complete import Completed, complete, compute, missing
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import LISTS, MANIFEST, Job
from tomodistill.bulk.outputs import write_lists
from tomodistill.bulk.page import warnings, write_page
from tomodistill.bulk.plan import check_same, plan
from tomodistill.bulk.progress import Progress
from tomodistill.bulk.shard import compute_shard
from tomodistill.bulk.spent import note_time
from tomodistill.errors import InputError
from tomodistill.particles.options import NONE
from tomodistill.scales import AUTO
from tomodistill.tomograms.named import by_comma
from tomodistill.tracking.records import log_config, log_file, log_metrics, log_tags
from tomodistill.tracking.registry import download, resolve
from tomodistill.tracking.runs import Run, phase_run, take_over_run
from tomodistill.tracking.store import check_store

ALL = "all"


@dataclass(frozen=True)
class JobConfig:
    """Which job, and what of it is done now."""

    out: str = AUTO  # its folder; auto: one in the data folder, the same for the same flags
    part: str = ALL  # all, or what one task of a job array does: 3/20, from 1/20 to 20/20


CONFIGS = (BulkConfig, JobConfig, ClusterConfig)
FLAGS = {name: default for config in CONFIGS for name, default in config_flags(config).items()}


def main(arguments: list[str]) -> None:
    """The entry point."""
    given = parse_flags(__doc__, FLAGS, arguments, *CONFIGS)
    config: BulkConfig = _absolute(config_from(BulkConfig, given))
    cluster: ClusterConfig = config_from(ClusterConfig, given)
    part, of = _part(given["part"])
    folder = _folder(given["out"], config)
    with _recorded(config, given["part"]) as run:
        job = _job(folder, config)
        _tell(job)
        if completed := _computed(job, cluster, part, of):
            _finish(job, completed, run)


def _part(text: str) -> tuple[int, int]:
    """1 and 1 for all, 3 and 20 for "3/20". Raises InputError for what is none."""
    part, _, of = text.partition("/")
    if text == ALL:
        return 1, 1
    if part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of):
        return int(part), int(of)
    raise InputError(
        expected=f"part: {ALL}, or one of a job array as 3/20, from 1/20 to 20/20",
        found=repr(text),
        todo="With SLURM: sbatch --array=1-20, and part=$SLURM_ARRAY_TASK_ID/20",
    )


def _absolute(config: BulkConfig) -> BulkConfig:
    """The same in every working directory: the list.star of another one is another list."""
    return replace(
        config,
        particles=_whole(config.particles),
        tomograms=_whole(config.tomograms),
        model=f"{model.absolute()}" if (model := Path(config.model)).is_dir() else config.model,
    )


def _whole(names: str) -> str:
    """Absolute paths and patterns of those by comma."""
    if names == NONE:
        return NONE
    return ",".join(f"{Path(name).absolute()}" for name in by_comma(names))


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
    job.verify()
    return job


def _version(model: str) -> tuple[Path, str]:
    """Folder of a version, and what people call it."""
    if Path(model).is_dir():
        return Path(model), model
    resolved = resolve(model)
    return download(resolved, places.models()), resolved.title


def _tell(job: Job) -> None:
    """What is going to be done, and what was assumed."""
    done = _standing(job)
    before = f", {done:,} of them done before" if done else ""
    print(f"predict: {job.particles:,} particles in {len(job.shards)} shards{before}: {job.folder}")
    print(f"predict: {job.model}; contrast {job.facts.contrast}, from {job.facts.contrast_from}")
    for line in (*job.sources(), *job.facts.warnings):
        print(f"predict: {line}")
    sys.stdout.flush()  # into the log of a job that runs for hours


def _backend(job: Job, cluster: ClusterConfig) -> Backend:
    return open_backend(job.folder, compute_shard, cluster)


def _standing(job: Job) -> int:
    """Particles whose shards stand."""
    return sum(map(job.size, job.standing()))


def _computed(job: Job, cluster: ClusterConfig, part: int, of: int) -> Completed | None:
    """What came of the job; None while other parts of it are missing."""
    progress = _progress(job, part, of)
    try:
        if of > 1:
            _compute_part(job, cluster, progress, part, of)
        if of > 1 and missing(job):
            return None
        return complete(job, lambda: _backend(job, cluster), progress)
    finally:
        progress.close()
        note_time(job, progress)


def _progress(job: Job, part: int, of: int) -> Progress:
    """Of the particles of this part."""
    total = sum(map(job.size, range(part - 1, len(job.shards), of)))
    return Progress(total, total - sum(map(job.size, missing(job, part=part, of=of))))


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
    for warning in warnings(job, gathered, completed):
        print(f"predict: {warning}")
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
            found=f"{len(aside)} of {len(job.shards)} that failed again and again; "
            f"shard {shard}: {why}",
            todo="Mend that and give the same command again: only these are computed.",
        )
