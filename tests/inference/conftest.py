"""Versions of s3 with OpenVINO's files; read only."""

from pathlib import Path

import pytest

from tests.versions import FAILED, PASSED, write_openvino_version


@pytest.fixture(scope="session")
def openvino_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of `version_folder`; it passed in float32 and bfloat16, and failed in float16."""
    folder = tmp_path_factory.mktemp("versions") / "openvino"
    gated = {"float32": PASSED, "bfloat16": PASSED, "float16": FAILED}
    return write_openvino_version(folder, seed=3, **gated)
