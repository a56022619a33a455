"""One shard from volumes to results; each process loads the model once."""

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tomodistill.bulk.backends import Outcome
from tomodistill.bulk.job import MANIFEST, MODEL, Job
from tomodistill.bulk.reading import Block, at_a_time, read_blocks
from tomodistill.bulk.results import NOT_CLASSIFIED, Reason, Results, write_results
from tomodistill.inference.classifier import Classifier
from tomodistill.machine import cores

T = TypeVar("T")
_END = object()
_BLOCK = 64  # volumes in memory at a time, unless the engine is quicker with more
_PREPARING = 8  # blocks at a time, or fewer where there are fewer cores


def compute_shard(folder: Path, shard: int) -> Outcome:
    """Classify the particles of a shard and write what came out; nothing if it stands.

    Raises whatever stands against it.
    """
    job = _opened(folder)
    path = job.shard_path(shard)
    if path.exists():
        return Outcome(shard)
    seconds: dict[str, float] = defaultdict(float)
    results = _classify(job, _classifier(job), shard, seconds)
    began = time.perf_counter()
    write_results(path, results, job=job.digest, shard=shard)
    seconds["write"] += time.perf_counter() - began
    return Outcome(shard, seconds=dict(seconds))


def _opened(folder: Path) -> Job:
    """Workers may outlive a job, and get another one in the same folder."""
    return _job(folder, (folder / MANIFEST).stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _job(folder: Path, planned: int) -> Job:
    return Job.open(folder)


@lru_cache(maxsize=1)
def _classifier(job: Job) -> Classifier:
    engine, precision = job.config.engine, job.config.precision
    return Classifier.load(job.folder / MODEL, engine=engine, precision=precision)


def _classify(job: Job, model: Classifier, shard: int, seconds: dict[str, float]) -> Results:
    task = job.task(shard)
    size = at_a_time(max(model.engine.batch, _BLOCK), job.facts.edge)
    reasons, logits = [], []
    for block in _prepared(job, model, _ahead(_timed(read_blocks(job, task, size), seconds))):
        began = time.perf_counter()
        reasons.append(block.reasons)
        logits.append(model.prepared_logits(block.volumes))
        seconds["classify"] += time.perf_counter() - began
    rows = task.places["row"]
    return _results(job, model, rows, np.concatenate(reasons), np.concatenate(logits))


def _prepared(job: Job, model: Classifier, blocks: Iterator[Block]) -> Iterator[Block]:
    """Blocks as the engine takes them, a few ahead of it, so that it need not wait."""
    facts, threads = job.facts, min(cores(), _PREPARING)

    def prepare(block: Block) -> Block:
        prepared = model.prepare(
            block.volumes, voxel_spacing=facts.voxel_spacing, contrast=facts.contrast
        )
        return replace(block, volumes=prepared.volumes)

    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[Block]] = deque()
        for block in blocks:
            coming.append(pool.submit(prepare, block))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _results(
    job: Job,
    model: Classifier,
    rows: NDArray[np.int64],
    reasons: NDArray[np.uint8],
    logits: NDArray[np.float32],
) -> Results:
    """Of all n particles; `logits` (m, classes) are of those that were classified."""
    shares = job.config.shares
    decisions = model.decisions(logits, priors=model.priors_of(shares) if shares else None)
    there = reasons <= Reason.PADDED
    classes = np.full(len(rows), NOT_CLASSIFIED, np.int16)
    probabilities = np.full((len(rows), logits.shape[1]), np.nan, np.float32)
    scores = np.full(len(rows), np.nan)
    classes[there], probabilities[there] = decisions.classes, decisions.probabilities
    if decisions.scores is not None:
        scores[there] = decisions.scores
    engine = model.engine
    made_by = f"{engine.name} in {engine.precision} on {engine.device}"
    return Results(np.asarray(rows), classes, probabilities, scores, reasons, made_by)


def _timed(blocks: Iterator[Block], seconds: dict[str, float]) -> Iterator[Block]:
    while True:
        began = time.perf_counter()
        block = next(blocks, None)
        seconds["read"] += time.perf_counter() - began
        if block is None:
            return
        yield block


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one made by a thread meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, items, _END)
            yield item  # type: ignore[misc]
