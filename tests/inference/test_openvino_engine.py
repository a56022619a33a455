import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.processes import PATIENCE, environment
from tests.versions import random_volumes
from tomodistill.inference import openvino_engine
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.openvino_engine import GRAPH, OpenVINOEngine, precisions
from tomodistill.inference.version import load_model


@pytest.fixture(scope="module")
def engine(openvino_folder: Path) -> OpenVINOEngine:
    return OpenVINOEngine(openvino_folder / GRAPH)


@pytest.mark.parametrize("count", [1, 3, 16, 17, 70])
def test_it_answers_as_keras_does(
    engine: OpenVINOEngine, openvino_folder: Path, version_volumes: np.ndarray, count: int
) -> None:
    volumes = version_volumes[:count]
    expected = KerasEngine(load_model(openvino_folder)).logits(volumes)
    found = engine.logits(volumes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(found, axis=0).min() > 0.1 or count == 1  # items do differ


def test_threads_get_the_numbers_of_their_own_volumes(
    engine: OpenVINOEngine, version_volumes: np.ndarray
) -> None:
    parts = [version_volumes[start : start + 1 + 7 * (start % 4)] for start in range(24)]
    expected = [engine.logits(part) for part in parts]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(engine.logits, parts))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_answers_stay_as_they_were_when_more_is_asked(
    engine: OpenVINOEngine, version_volumes: np.ndarray
) -> None:
    first = engine.logits(version_volumes[:2])
    before = first.copy()
    engine.logits(version_volumes[2:20])
    np.testing.assert_array_equal(first, before)


def test_views_with_strides_are_read_as_they_are(
    engine: OpenVINOEngine, version_volumes: np.ndarray
) -> None:
    turned = version_volumes[:3].transpose(0, 3, 2, 1)
    np.testing.assert_allclose(
        engine.logits(turned), engine.logits(np.ascontiguousarray(turned)), atol=1e-6
    )
    assert np.abs(engine.logits(turned) - engine.logits(version_volumes[:3])).max() > 0.01


def test_the_precision_is_what_was_asked_for(
    engine: OpenVINOEngine, openvino_folder: Path, version_volumes: np.ndarray
) -> None:
    if "bfloat16" not in precisions():
        pytest.skip("this CPU has no bfloat16")
    reduced = OpenVINOEngine(openvino_folder / GRAPH, "bfloat16")
    assert (engine.precision, reduced.precision) == ("float32", "bfloat16")
    exact, found = (of.logits(version_volumes[:8]) for of in (engine, reduced))
    assert 1e-3 < np.abs(exact - found).max() / np.abs(exact).max() < 0.1


def test_only_native_precisions_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    core = SimpleNamespace(get_property=lambda *_: ["FP32", "INT8", "BIN"])
    monkeypatch.setattr(openvino_engine, "core", lambda: core)
    assert precisions() == ("float32",)
    core.get_property = lambda *_: ["FP16", "BF16", "FP32"]
    assert precisions() == ("float32", "bfloat16", "float16")


def test_volumes_come_alone_or_in_parts_of_one_size(
    engine: OpenVINOEngine, version_volumes: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def spy(volumes: np.ndarray) -> np.ndarray:
        sizes.append(len(volumes))
        return volumes[:, 0, 0, :3]

    monkeypatch.setattr(engine, "_infer", spy)
    monkeypatch.setattr(engine, "_streams", 2)  # on any machine
    for count, expected in ((1, [1]), (5, [1] * 5), (6, [3, 3]), (70, [3] * 23 + [1])):
        sizes.clear()
        found = engine.logits(version_volumes[:count])
        np.testing.assert_array_equal(found, version_volumes[:count, 0, 0, :3])
        assert sorted(sizes, reverse=True) == expected
    assert 3 * engine._shape[0] ** 3 <= 2**16 < 4 * engine._shape[0] ** 3


def test_the_device_is_named(engine: OpenVINOEngine) -> None:
    assert engine.device.startswith("cpu: ")


def test_nothing_is_sent_to_its_makers_or_written_at_home(
    openvino_folder: Path, tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from tomodistill.inference.openvino_engine import OpenVINOEngine\n"
        "OpenVINOEngine(Path(sys.argv[1])).logits(np.load(sys.argv[2]))\n"
        "print([name for name in sys.modules if 'telemetry.' in name])"
    )
    np.save(tmp_path / "volumes.npy", random_volumes(1))
    home = tmp_path / "home"
    home.mkdir()
    arguments = [str(openvino_folder / GRAPH), str(tmp_path / "volumes.npy")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert list(home.iterdir()) == []


def test_a_signal_is_heard_when_engines_are_gone(openvino_folder: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tomodistill.inference.openvino_engine import OpenVINOEngine\n"
        "one, two = (OpenVINOEngine(Path(sys.argv[1])) for _ in range(2))\n"
        "del one\ndel two\n"
        "signal.signal(signal.SIGINT, lambda *_: print('heard'))\n"
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(openvino_folder / GRAPH)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
