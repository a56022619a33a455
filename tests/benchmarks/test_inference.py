"""Scripts of benchmarks/ import each other by name, as if run from there."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tomodistill.inference.openvino_engine import GRAPH

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(monkeypatch):
    """A module of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


@pytest.fixture
def turns(script) -> ModuleType:
    return script("inference_turns")


class Clock:
    """In place of the module `time`; `taking` makes calls that take so many seconds."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def perf_counter(self):
        return self.now

    monotonic = perf_counter

    def taking(self, name, *seconds):
        left = list(seconds)

        def call():
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


@pytest.fixture
def clock(turns, monkeypatch):
    monkeypatch.setattr(turns, "time", Clock())
    return turns.time


def case(turns, name, call=None, *, batch=1, measure="engine", engine="keras"):
    return turns.Case(turns.Key(name, engine, "float32", batch, measure), call)


def test_a_turn_of_several_calls_leaves_out_the_first(turns, clock):
    quick = case(turns, "quick", clock.taking("quick", 0.04, 0.02), batch=2)
    assert turns.seconds_of(quick) == pytest.approx(0.01)
    slow = case(turns, "slow", clock.taking("slow", 3.0), batch=2)
    assert turns.seconds_of(slow) == pytest.approx(1.5)
    assert clock.calls == ["quick", "quick", "slow"]


def test_cases_take_turns_beside_a_reference_that_is_never_old(turns, clock):
    reference = case(turns, "reference", clock.taking("reference", 0.5))
    cases = [case(turns, name, clock.taking(name, 2.0)) for name in "abc"]
    timings = list(turns.take_turns(cases, reference, rounds=2, deadline=1e9))
    # a, b: 4 seconds after the reference; so it comes before every second one
    assert clock.calls == ["reference", *"ab", "reference", *"cc", "reference", *"ba"]
    assert [(of.round, of.key.network) for of in timings] == [
        *((0, name) for name in "abc"),
        *((1, name) for name in "cba"),
    ]
    assert {(of.seconds, of.reference) for of in timings} == {(2.0, 0.5)}


def test_no_round_begins_that_would_end_too_late_but_the_first(turns, clock):
    reference = case(turns, "reference", clock.taking("reference", 1.0))
    a = case(turns, "a", clock.taking("a", 2.0))  # with the reference 3 s
    for deadline, rounds in ((0.5, 1), (7.9, 2), (8.1, 3)):
        clock.now = 0.0
        timings = list(turns.take_turns([a], reference, rounds=9, deadline=deadline))
        assert [of.round for of in timings] == list(range(rounds))


def test_a_machine_that_slows_down_changes_no_ratio(turns):
    a, b = (case(turns, name).key for name in "ab")
    slower = [(0, 1.0), (1, 2.0), (2, 5.0)]
    timings = [turns.Timing(n, a, 0.1 * by, 1.0 * by) for n, by in slower]
    timings += [turns.Timing(n, b, 0.4 * by * 3, 1.0 * by * 3) for n, by in slower]
    rounds = turns.Rounds(timings)
    assert rounds.count == 3
    assert rounds.ratio(a, b) == pytest.approx((4, 4, 4))
    assert rounds.rate(a) == pytest.approx((5, 3.5, 7.5))  # per second: 10, 5, 2
    assert rounds.fastest([b, a]) == a
    assert rounds.fastest([b, a], {a: 1.0, b: 5.0}.get) == b


def test_timings_are_read_back_but_a_line_that_was_cut(turns, tmp_path):
    timing = turns.Timing(3, case(turns, "s1", batch=16).key, 0.25, 0.5)
    path = tmp_path / "timings.jsonl"
    path.write_text(timing.line() + timing.line()[:-9])
    assert turns.read_timings(path) == [timing]


@pytest.mark.parametrize("gpu", [False, True])
def test_products_multiply_and_copies_arrive(script, gpu):
    products = script("inference_products")
    found = list(products.products([8], ["float32", "bfloat16"], gpu=gpu))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8, 8))
    libraries = {case.key.engine for case in found}
    assert ({"numpy", "openvino"} <= libraries) is not gpu
    assert len(found) == 2 * len(libraries) - (not gpu)  # NumPy has one precision
    for made in found:
        tolerance = 1e-5 if made.key.precision == "float32" else 0.05
        assert made.call() == pytest.approx((a @ b)[0, 0], abs=tolerance)
        assert products.product_gflop(made.key) == pytest.approx(1024e-9)
    assert products.copies().call() == 1


def test_a_ring_goes_round_until_the_total(script):
    streams = script("inference_streams")
    ring = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    blocks = list(streams.ring_blocks(ring, 25, 4))
    assert [len(block) for block in blocks] == [4, 4, 2, 4, 4, 2, 4, 1]
    assert np.concatenate(blocks).ravel().tolist() == [*range(10), *range(10), *range(5)]
    assert all(np.shares_memory(block, ring) for block in blocks)


def test_a_stream_that_loses_volumes_is_no_result(script):
    streams = script("inference_streams")
    ring, said = np.zeros((6, 1, 1, 1), np.float32), []

    def logits(volumes):
        said.append(len(volumes))
        return np.zeros((len(volumes), 3), np.float32)

    assert streams.stream(logits, ring, total=9, block=4) > 0
    assert sum(said[1:]) == 9  # the first block only wakes the threads
    with pytest.raises(RuntimeError, match="6 of 9"):
        streams.stream(lambda volumes: logits(volumes[:2]), ring, total=9, block=3)


@pytest.fixture
def results(turns, tmp_path):
    """Two rounds of teacher and f1: 7 and 0.14 GFLOP, 1 and 0.02 seconds; a peak of 10 GFLOP/s."""
    seconds = {
        ("teacher", "openvino", 16, "engine"): 1.0,
        ("teacher", "openvino", 64, "end to end"): 1.25,
        ("teacher", "model.predict", 64, "end to end"): 2.5,
        ("teacher", "numpy", 64, "preprocessing"): 0.01,
        ("f1", "numpy", 64, "preprocessing"): 0.002,
        ("f1", "openvino", 16, "engine"): 0.02,
        ("f1", "openvino", 64, "engine"): 0.04,
        ("f1", "openvino", 64, "end to end"): 0.025,
        ("1000", "numpy", 1, "product"): 0.2,
        ("500", "numpy", 1, "product"): 1.0,
    }
    lines = [
        turns.Timing(
            number, case(turns, name, batch=batch, measure=measure, engine=engine).key, of * by, by
        ).line()
        for number, by in enumerate((1.0, 3.0))
        for (name, engine, batch, measure), of in seconds.items()
    ]
    (tmp_path / "timings.jsonl").write_text("".join(lines))
    of_f1 = {"openvino": {"float32": {"items": 40, "passed": True}}}
    about = {
        "command": "python benchmarks/inference.py",
        "machine": "cpu:0",
        "cores": 2,
        "versions": "Keras 3",
        "box": 40,
        "trained": ["f1"],
        "teacher": "teacher",
        "gflop": {"teacher": 7.0, "f1": 0.14},
        "bytes": {"teacher": 256000, "f1": 32000},
        "gates": {"teacher": {}, "f1": of_f1},
    }
    (tmp_path / "about.json").write_text(json.dumps(about))
    return tmp_path


def test_tables_say_ratios_shares_and_gates(script, results):
    text = script("inference_tables").write_results(results)
    assert "trained: f1" in text
    assert (
        "| f1 | 0.14 | openvino | float32 | 27 | 50 (50 to 50) | 100 (100 to 100) | passed |"
        in text
    )
    # alone: 50 and 25 times the teacher; 7 of 10 GFLOP/s; 0.002 of 0.02 seconds
    f1 = "| 50 (50 to 50) | 25 (25 to 25) | 33 | 0.70 (0.70 to 0.70) | 0.10 (0.10 to 0.10) |"
    assert f"| f1 | openvino | float32 {f1}" in text
    assert "copy limit" not in text  # no GPU, no such column
    assert (results / "tables.md").read_text() == text + "\n"
    first = (results / "end_to_end.csv").read_text().splitlines()[1]
    assert first.startswith("teacher,7.0,openvino,float32,0.53")
    assert {path.suffix for path in results.iterdir()} == {".csv", ".json", ".jsonl", ".md", ".png"}


def test_the_figure_has_a_bar_for_each_result_and_a_logarithmic_axis(script, results):
    tables, read = script("inference_tables"), script("inference_results").Results.read(results)
    (axes,) = tables.speed_figure(read).axes
    heights = [bar.get_height() for bar in axes.patches]
    assert sorted(heights) == pytest.approx([0.5, 1, 50])
    assert axes.get_yscale() == "log"


def test_processes_and_streams_have_their_tables(script, results):
    def write(name, *lines):
        (results / name).write_text("".join(json.dumps(line) + "\n" for line in lines))

    way = {"engine": "openvino", "precision": "float32"}
    cold = [{**way, "seconds": seconds, "round": 0} for seconds in (1.0, 2.0, 3.0)]
    write("processes.jsonl", *cold, {**way, "bytes": 140e6, "volumes": 2000})
    write("streams.jsonl", {"network": "f1", **way, "measure": "engine", **COUNTS})
    text = script("inference_tables").write_results(results)
    assert "| openvino | float32 | 2.00 (1.50 to 2.50) | 140 |" in text
    assert "| f1 | openvino | float32 | engine | 1,000,000 | 10,000 | 14.5 |" in text


COUNTS = {"volumes": 1_000_000, "distinct": 10_000, "seconds": 14.5}


@pytest.fixture
def fast(script, tmp_path) -> Path:
    """A version of f1 with random weights."""
    return script("inference_cases").random_version(tmp_path / "f1", "f1", box=24, classes=3)


def test_a_random_version_opens_in_everything_at_hand(script, fast):
    cases = script("inference_cases")
    opened = cases.open_version(fast)
    engines = [(of.engine.name, of.engine.precision) for of in opened.classifiers]
    assert (fast / GRAPH).is_file()
    of_openvino = [("openvino", precision) for precision in cases.precisions()]
    assert engines == [("keras", "float32"), *of_openvino, ("model.predict", "float32")]
    assert opened.bytes == 4 * opened.manifest.preprocessing.edge(24) ** 3 < 4 * 24**3
    volumes = cases.noise(3, 24)
    said = [of.logits(volumes) for of in opened.classifiers if of.engine.precision == "float32"]
    for other in said[1:]:
        np.testing.assert_allclose(other, said[0], atol=1e-4)
    keys = [of.key for of in cases.cases(opened, volumes, [1, 3])]
    assert len(keys) == 1 + 3 * len(engines)


def test_fresh_processes_answer_and_have_a_memory_of_their_own(script, fast):
    """This process has Keras and more than 400 MB; theirs through OpenVINO may not."""
    processes = script("inference_processes")
    ways = [processes.Way("openvino", "float32")]
    control, cold, memory = processes.fresh_processes(fast, ways, rounds=1, count=70)
    assert control["engine"] == processes.CONTROL
    assert 0 < control["seconds"] < cold["seconds"]
    assert 30e6 < memory["bytes"] < 400e6
    (fast / GRAPH).write_text("changed")
    with pytest.raises(RuntimeError, match="no answer, exit status 1"):
        list(processes.fresh_processes(fast, ways, rounds=1, count=1))


def test_the_whole_script(script, monkeypatch, tmp_path):
    inference = script("inference")
    monkeypatch.setattr(inference, "SIZES", {"cpu": (16,), "gpu": (16,)})
    monkeypatch.setattr(inference, "MILLION", 20)
    monkeypatch.setattr(inference, "RING", 8)
    monkeypatch.setattr(script("inference_turns"), "TURN", 0.0005)
    flags = "--networks dsrf3d_v2,f1 --box 24 --classes 3 --batches 1,2 --fresh 0 --million"
    monkeypatch.setattr(sys, "argv", ["inference.py", "--out", str(tmp_path), *flags.split()])
    inference.main()
    text = (tmp_path / "tables.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| dsrf3d_v2 | ")]
    assert any("openvino | float32" in row and "1 (1 to 1)" in row for row in rows)
    timings = script("inference_turns").read_timings(tmp_path / "timings.jsonl")
    assert {of.round for of in timings} == set(range(9))
    assert "| f1 | openvino | float32 | end to end | 20 | 8 |" in text


def test_without_a_teacher_there_is_nothing_to_compare_with(script):
    of_student = SimpleNamespace(manifest=SimpleNamespace(role="student"))
    with pytest.raises(ValueError, match="--networks"):
        script("inference").teacher_of({"f1": of_student})
