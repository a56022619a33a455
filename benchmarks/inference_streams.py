"""A million volumes from host memory, out of a ring of distinct ones that no cache can hold."""

import time
from collections.abc import Callable, Iterator

from inference_cases import END_TO_END, ENGINE, TODAY, Opened, prepared

from tomodistill.inference.engines import Array


def ring_blocks(ring: Array, total: int, block: int) -> Iterator[Array]:
    """Views of the ring (r, e, e, e), round and round: `total` volumes, at most `block` at once."""
    given = 0
    while given < total:
        start = given % len(ring)
        size = min(block, len(ring) - start, total - given)
        yield ring[start : start + size]
        given += size


def stream(logits: Callable[[Array], Array], ring: Array, *, total: int, block: int) -> float:
    """Seconds from the first volume to the last decision, the first block done before."""
    logits(ring[:block])
    start = time.perf_counter()
    decided = sum(len(logits(some).argmax(axis=1)) for some in ring_blocks(ring, total, block))
    seconds = time.perf_counter() - start
    if decided != total:
        raise RuntimeError(f"{decided} of {total} volumes were decided")
    return seconds


def streams(of: Opened, ring: Array, *, total: int, block: int) -> Iterator[dict[str, object]]:
    """Every classifier but `model.predict`: volumes preprocessed before, and stored ones."""
    seen = prepared(of.manifest, ring)
    for classifier in of.classifiers:
        engine = classifier.engine
        if engine.name == TODAY:
            continue
        for measure, logits, volumes in (
            (ENGINE, engine.logits, seen),
            (END_TO_END, classifier.logits, ring),
        ):
            seconds = stream(logits, volumes, total=total, block=block)
            yield {
                "network": of.manifest.network,
                "engine": engine.name,
                "precision": engine.precision,
                "measure": measure,
                "volumes": total,
                "distinct": len(ring),
                "seconds": seconds,
            }
