"""The dispatcher alone, with engines that do as they are told."""

import asyncio
import threading
import time
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving.batching import Dispatcher, EngineError, Job
from serving.metrics import Metrics

SOON = 10.0  # seconds


class Engine:
    """Says of a volume the value of its first voxel; waits for `gate`; fails on negative values."""

    batch = 4

    def __init__(self) -> None:
        self.calls: list[list[float]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()

    def logits(self, volumes: np.ndarray) -> np.ndarray:
        first = volumes[:, 0, 0, 0]
        self.calls.append(first.tolist())
        self.started.set()
        assert self.gate.wait(SOON)
        if (first < 0).any():
            raise MemoryError("out of memory")
        return np.stack([first, -first], axis=1)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def results() -> list[tuple[Any, Exception | None]]:
    return []


@pytest.fixture
def dispatcher(results):
    made = Dispatcher(Metrics(), on_result=lambda *result: results.append(result))
    yield made
    made.close()


def serving(engine: Engine) -> Any:
    manifest = SimpleNamespace(class_names=("a", "b"))
    return SimpleNamespace(classifier=SimpleNamespace(engine=engine, manifest=manifest))


def volumes(*values: float) -> np.ndarray:
    return np.tile(np.array(values, np.float32)[:, None, None, None], (1, 2, 2, 2))


async def asking(dispatcher, served, *values: float, seconds: float = SOON) -> np.ndarray:
    job = Job(served, deadline=time.monotonic() + seconds)
    job.begin(SimpleNamespace(volumes=volumes(*values)))
    dispatcher.put(job)
    try:
        await job.future
        return job.logits
    finally:
        dispatcher.drop(job)


def run(coroutine: Coroutine) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, SOON))


async def while_busy(engine, dispatcher, served) -> asyncio.Task:
    """A request of one volume that keeps the engine until its gate opens."""
    engine.gate.clear()
    busy = asyncio.create_task(asking(dispatcher, served, 100))
    assert await asyncio.to_thread(engine.started.wait, SOON)
    return busy


def test_what_came_meanwhile_is_one_batch_and_each_has_its_own(dispatcher, engine):
    served = serving(engine)

    async def ask() -> list[np.ndarray]:
        busy = await while_busy(engine, dispatcher, served)
        waiting = [asyncio.create_task(asking(dispatcher, served, v, v + 0.5)) for v in (1, 2)]
        await asyncio.sleep(0)  # they queue
        engine.gate.set()
        return await asyncio.gather(busy, *waiting)

    first, one, two = run(ask())
    assert engine.calls == [[100], [1, 1.5, 2, 2.5]]
    np.testing.assert_array_equal(first, [[100, -100]])
    np.testing.assert_array_equal(one, [[1, -1], [1.5, -1.5]])
    np.testing.assert_array_equal(two, [[2, -2], [2.5, -2.5]])


def test_a_large_request_takes_turns(dispatcher, engine):
    served = serving(engine)

    async def ask() -> np.ndarray:
        busy = await while_busy(engine, dispatcher, served)
        large = asyncio.create_task(asking(dispatcher, served, *range(10)))
        await asyncio.sleep(0)
        small = asyncio.create_task(asking(dispatcher, served, 50))
        await asyncio.sleep(0)
        engine.gate.set()
        await asyncio.gather(busy, small)
        return await large

    found = run(ask())
    assert engine.calls == [[100], [0, 1, 2, 3], [50, 4, 5, 6], [7, 8, 9]]
    np.testing.assert_array_equal(found[:, 0], range(10))


def test_versions_never_share_a_batch(dispatcher, engine):
    old, new = serving(engine), serving(other := Engine())

    async def ask() -> None:
        busy = await while_busy(engine, dispatcher, old)
        rest = [
            asyncio.create_task(asking(dispatcher, s, v)) for v, s in enumerate((old, new, old))
        ]
        await asyncio.sleep(0)
        engine.gate.set()
        await asyncio.gather(busy, *rest)

    run(ask())
    assert engine.calls == [[100], [0, 2]]
    assert other.calls == [[1]]


def test_who_no_longer_waits_is_not_computed(dispatcher, engine):
    served = serving(engine)

    async def ask() -> np.ndarray:
        busy = await while_busy(engine, dispatcher, served)
        gone = asyncio.create_task(asking(dispatcher, served, 1))
        late = asyncio.create_task(asking(dispatcher, served, 2, seconds=0.01))
        stays = asyncio.create_task(asking(dispatcher, served, 3))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0.02)
        engine.gate.set()
        await busy
        with pytest.raises(TimeoutError):
            await late
        return await stays

    np.testing.assert_array_equal(run(ask()), [[3, -3]])
    assert engine.calls == [[100], [3]]


def test_neighbours_of_a_bad_volume_are_computed(dispatcher, engine, results):
    served = serving(engine)

    async def ask() -> list[Any]:
        busy = await while_busy(engine, dispatcher, served)
        rest = [asyncio.create_task(asking(dispatcher, served, v)) for v in (1, -2, 3)]
        await asyncio.sleep(0)
        engine.gate.set()
        return (await asyncio.gather(busy, *rest, return_exceptions=True))[1:]

    one, bad, three = run(ask())
    assert engine.calls == [[100], [1, -2, 3], [1], [-2], [3]]
    np.testing.assert_array_equal([one, three], [[[1, -1]], [[3, -3]]])
    assert isinstance(bad, EngineError)
    assert "MemoryError: out of memory" in str(bad)
    assert [type(error) for _, error in results] == [
        type(None),
        MemoryError,
        type(None),
        MemoryError,
        type(None),
    ]
    assert all(who is served for who, _ in results)


def test_logits_that_are_no_numbers_are_an_error_of_the_engine(dispatcher, engine):
    async def ask() -> None:
        await asking(dispatcher, serving(engine), np.inf)

    with pytest.raises(EngineError, match="not finite"):
        run(ask())


def test_the_dispatcher_outlives_what_went_wrong(dispatcher, engine):
    async def ask() -> np.ndarray:
        served = serving(engine)
        for values in ((-1,), (np.nan,)):
            with pytest.raises(EngineError):
                await asking(dispatcher, served, *values)
        return await asking(dispatcher, served, 7)

    np.testing.assert_array_equal(run(ask()), [[7, -7]])
