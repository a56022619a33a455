"""One version with all that a version may have, read only."""

from pathlib import Path

import pytest

from tests.versions import CALIBRATION, PASSED, UNKNOWN, write_openvino_version


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calibrated, rejects, and runs on OpenVINO in float32."""
    known = {"calibration": CALIBRATION, "unknown": UNKNOWN}
    folder = tmp_path_factory.mktemp("versions") / "openvino"
    return write_openvino_version(folder, seed=3, known=known, float32=PASSED)
