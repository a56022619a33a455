"""What a run of benchmarks/inference.py has left in its folder so far, and ratios within it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference_products import COPIED, COPY, PRODUCT, product_gflop
from inference_turns import Key, Rounds, read_timings

from tomodistill.evaluation.speed import BATCH
from tomodistill.evaluation.table import Interval
from tomodistill.inference.engines import REFERENCE

ABOUT, TIMINGS = "about.json", "timings.jsonl"
PROCESSES, STREAMS = "processes.jsonl", "streams.jsonl"
_PREFERRED = ("openvino", "keras")


@dataclass(frozen=True)
class Results:
    """A run, finished or not."""

    about: dict[str, Any]
    rounds: Rounds
    processes: list[dict[str, Any]]
    streams: list[dict[str, Any]]

    @classmethod
    def read(cls, out: Path) -> "Results":
        """From its folder."""
        about = json.loads((out / ABOUT).read_text())
        more = [_lines(out / name) for name in (PROCESSES, STREAMS)]
        return cls(about, Rounds(read_timings(out / TIMINGS)), *more)

    def keys(self, measure: str, **fields: str) -> list[Key]:
        """With these fields, in the order of timing."""
        return [
            key
            for key in self.rounds.keys
            if key.measure == measure and fields.items() <= key._asdict().items()
        ]

    def of_teacher(self, measure: str, engine: str = "") -> Key:
        """In that engine, or the best known, in float32: what others are compared with."""
        return of_teacher(self.rounds.keys, self.about["teacher"], measure, engine)

    def peak_share(self, key: Key) -> Interval | None:
        """GFLOP/s over those of the best product in that precision."""
        products = self.keys(PRODUCT, precision=key.precision)
        if not products:
            return None
        peak = self.rounds.fastest(products, product_gflop)
        return self._share(key, peak, self.about["gflop"][key.network] / product_gflop(peak))

    def copy_share(self, key: Key) -> Interval | None:
        """Bytes/s over those that could be copied to the GPU."""
        copies = self.keys(COPY)
        if not copies:
            return None
        return self._share(key, copies[0], self.about["bytes"][key.network] / COPIED)

    def _share(self, key: Key, limit: Key, scale: float) -> Interval:
        return Interval(*(scale * value for value in self.rounds.ratio(key, limit)))


def of_teacher(keys: Iterable[Key], teacher: str, measure: str, engine: str = "") -> Key:
    """The key of that measure in float32: of the best known engine, in the usual batch."""
    engines = (engine,) if engine else _PREFERRED
    found = [
        key
        for key in keys
        if (key.network, key.precision, key.measure) == (teacher, REFERENCE, measure)
        and key.engine in engines
    ]
    return min(found, key=lambda key: (engines.index(key.engine), abs(key.batch - BATCH)))


def _lines(path: Path) -> list[dict[str, Any]]:
    """JSON lines, if there are any."""
    return list(map(json.loads, path.read_text().splitlines())) if path.is_file() else []
