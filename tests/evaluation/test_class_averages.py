import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tomodistill.evaluation.class_averages import aligned_mean, particle_rotations

BOX = 24


def about_z(degrees: float) -> np.ndarray:
    """(3, 3) of x, y, z: the frame turned about z (Heymann et al. 2005, the matrices of eq. 3)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def about_y(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def to_particle(rot: float, tilt: float, psi: float) -> np.ndarray:
    """What RELION multiplies a point of the reference with."""
    return about_z(psi) @ about_y(tilt) @ about_z(rot)


@pytest.fixture
def reference() -> np.ndarray:
    """(d, d, d) four unequal balls, of mean 0, without any symmetry."""
    balls = np.zeros((BOX,) * 3)
    middle = BOX // 2
    for weight, (x, y, z) in ((4, (-5, -3, -3)), (3, (6, 0, 0)), (2, (0, 5, 0)), (3, (0, -2, 6))):
        balls[middle + z, middle + y, middle + x] = weight
    smooth = ndimage.gaussian_filter(balls, 1.5)
    return (smooth - smooth.mean()).astype(np.float32)


def particle(reference: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The reference as a particle of these angles has it: each point p shows what A⁻¹ p was."""
    points = np.indices(reference.shape).reshape(3, -1)[::-1] - BOX // 2  # x, y, z
    before = np.linalg.inv(to_particle(*angles)) @ points + BOX // 2
    return ndimage.map_coordinates(reference, before[::-1]).reshape(reference.shape)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.fixture
def angles(rng: np.random.Generator) -> np.ndarray:
    """(40, 3) of quarter turns about random axes: turned the wrong way they are half turns.

    Twice a random rotation is too often nearly none.
    """
    axes = rng.normal(size=(40, 3))
    axes *= np.pi / 2 / np.linalg.norm(axes, axis=1, keepdims=True)
    return Rotation.from_rotvec(axes).as_euler("ZYZ", degrees=True)


def test_rotations_are_relions_matrices(angles: np.ndarray) -> None:
    expected = np.stack([to_particle(*of) for of in angles])
    np.testing.assert_allclose(particle_rotations(angles).as_matrix(), expected, atol=1e-12)


def test_the_mean_of_turned_particles_is_the_reference(
    reference: np.ndarray, angles: np.ndarray, rng: np.random.Generator
) -> None:
    particles = np.stack([particle(reference, of) for of in angles])
    noisy = (particles + rng.normal(0, particles.std(), particles.shape)).astype(np.float32)
    assert correlation(aligned_mean(noisy, angles), reference) > 0.9
    inverse = -angles[:, ::-1]  # psi, tilt, rot, turned back: the convention of other programs
    assert correlation(aligned_mean(noisy, inverse), reference) < 0.5
    assert correlation(noisy.mean(axis=0), reference) < 0.5


def test_what_does_not_turn_stays_as_it_is(reference: np.ndarray) -> None:
    volumes = np.stack([reference, 3 * reference])
    np.testing.assert_allclose(aligned_mean(volumes, np.zeros((2, 3))), 2 * reference, atol=1e-6)
    assert not aligned_mean(volumes[:0], np.zeros((0, 3))).any()
