"""Fixtures that several rooms share: a tiny subtomogram set and a tiny model version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tomodistill.subtomograms.dataset import Item, SetHeader, SubtomogramSet, write_set

if TYPE_CHECKING:  # Keras takes ten seconds to import: only fixtures that need it do
    from tomodistill.inference.classifier import Classifier
    from tomodistill.inference.version import Manifest

ROOT = Path(__file__).parent.parent
BOX = 8  # voxels of the tiny set
CLASS_NAMES = ("ribosome", "proteasome", "chaperonin")
# Files of a minute that no two workers can share: begun last, they would keep one alone.
LONGEST = ("test_faults.py", "test_readme.py", "test_search.py", "test_two_at_once.py")
# The user's own store and data: no test may find them, or write to them.
USERS = (
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_TRACKING_URI",
    "TOMODISTILL_DATA",
    "TOMODISTILL_PDB_MIRROR",
)


def pytest_configure(config: pytest.Config) -> None:
    for name in USERS:
        os.environ.pop(name, None)
    # Keras reads TensorFlow's variables with np.array, which NumPy 2 deprecates for them.
    message = "__array__ implementation doesn't accept a copy keyword"
    config.addinivalue_line("filterwarnings", f"ignore:{message}:DeprecationWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)  # stable: the others stay in order


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real files beside the checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no real files beside the checkout")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20180131)


@pytest.fixture(scope="session")
def header() -> SetHeader:
    return SetHeader(
        set_id="tiny",
        class_names=CLASS_NAMES,
        box=BOX,
        voxel_spacing=10.0,
        contrast="dark",
        handedness="right",
        recipe={"name": "noise", "seed": 7},
    )


@pytest.fixture(scope="session")
def items() -> list[Item]:
    """Twelve items, four of each class, the last one unlabelled; every third held out."""
    rng = np.random.default_rng(7)
    return [
        Item(
            volume=rng.normal(size=(BOX, BOX, BOX)).astype(np.float32),
            label=index % 3 if index < 11 else -1,
            id=f"tiny/{index}",
            split=("train", "train", "val", "test")[index % 4],
            pose=(0.0, 0.0, 0.0, 1.0, 0.5, -0.5, index / 10),
            seed=2**63 + index,
            snr=0.5 + index / 100,
            tilt_range=(-60.0 - index, 60.0),
            defocus=5.0,
        )
        for index in range(12)
    ]


@pytest.fixture(scope="session")
def subtomogram_set(
    header: SetHeader, items: list[Item], tmp_path_factory: pytest.TempPathFactory
) -> SubtomogramSet:
    """The twelve items as a set on disk. Read only: tests that change it write their own."""
    path = tmp_path_factory.mktemp("set") / "tiny.h5"
    return write_set(path, header, lambda start: items[start:], len(items))


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """Of a student on three classes, before its files have digests."""
    from tests.versions import MANIFEST

    return MANIFEST


@pytest.fixture(scope="session")
def version_volumes() -> np.ndarray:
    """(70, 27, 27, 27) stored volumes for the tiny version: more than the largest batch."""
    from tests.versions import random_volumes

    return random_volumes(70, seed=11)


@pytest.fixture(scope="session")
def version_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound version of s3 with random weights. Read only: tests that change it copy it."""
    from tests.versions import write_random_version

    return write_random_version(tmp_path_factory.mktemp("versions") / "s3", seed=3)


@pytest.fixture(scope="session")
def classifier(version_folder: Path) -> Classifier:
    from tomodistill.inference.classifier import Classifier

    return Classifier.load(version_folder)
