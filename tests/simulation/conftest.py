from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tomodistill.simulation.structures import Structure, load_structures

SHARED = Path(__file__).parents[3] / "shared" / "structures"


@pytest.fixture(scope="session")
def structures() -> tuple[Structure, ...]:
    return load_structures("builtin", classes="groel,p97,rubisco", voxel_spacing=10.0)


@pytest.fixture
def shared() -> Path:
    """Real maps and atomic models, where they lie beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no real structures beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def rotations() -> Rotation:
    return Rotation.random(400, rng=np.random.default_rng(0))
