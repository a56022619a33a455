"""A single-axis tilt series without interpolation: projections as exact central slices, and back.

Tilt axis y, beam along +z. A specimen turned right-handed by θ about y shows at x' = x cos θ +
z sin θ what lay at (x, z), so the Fourier transform of its projection is the central slice through
the y axis and the direction (cos θ, sin θ) of (kx, kz) (projection-slice theorem). For the few
voxels of a subtomogram that transform is a product with a matrix, which is exact, and faster than
careful interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from tomodistill.errors import InputError

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
Complex = np.ndarray[tuple[int, ...], np.dtype[np.complexfloating]]

LARGEST = 2.0  # GiB of matrices in each process


def tilt_angles(tilt_min: float, tilt_max: float, step: float) -> Array:
    """(t,) degrees from tilt_min to tilt_max, both included, nearly `step` apart."""
    count = round((tilt_max - tilt_min) / step) + 1
    return np.linspace(tilt_min, tilt_max, max(count, 2))


def accumulated_dose(angles: Array, dose: float) -> Array:
    """(t,) electrons per Å² that the specimen has had halfway through each tilt.

    Dose-symmetric: small tilts first (Hagen, Wan & Briggs 2017, J. Struct. Biol. 197:191).
    """
    turn = np.argsort(np.argsort(np.abs(angles), kind="stable"))
    return (turn + 0.5) * dose


@dataclass(frozen=True, eq=False)
class Projector:
    """The two matrices of one tilt series; spectra are (d, t, d//2 + 1): ky, tilt, kx'."""

    edge: int  # d, voxels of the padded cube that is projected
    box: int  # b, voxels of the cube that is reconstructed in its middle
    angles: Array  # (t,) degrees
    disc: np.ndarray  # (m,) positions in the flat (z, x) plane of the cube that take part
    slices: Array  # (m, t * 2 (d//2 + 1)) float32, real and imaginary parts in turns
    weights: Array  # (t, d//2 + 1): share of Fourier space for which a sample stands
    back: Array  # (t * 2 (d//2 + 1), b * b) float32

    @classmethod
    def of(cls, *, edge: int, box: int, angles: Array) -> Projector:
        """Raises InputError if the matrices were larger than LARGEST."""
        _check_size(edge, box, len(angles))
        disc = _disc(edge)
        weights = _density(edge, angles)
        seen = _waves(_plane(edge)[:, disc], edge, angles)
        crop = _waves(_plane(box), edge, angles) * weights[..., None]
        return cls(
            edge=edge,
            box=box,
            angles=angles,
            disc=disc,
            slices=seen.reshape(len(seen), -1),
            weights=weights,
            back=np.ascontiguousarray(crop.reshape(len(crop), -1).T),
        )

    def project(self, volume: Array) -> Complex:
        """(d, t, d//2 + 1) complex64 spectra of the projections of a cube (d, d, d), z, y, x.

        Along x' the origin is voxel d // 2 of the cube; along y it is voxel 0.
        """
        columns = volume.transpose(1, 0, 2).reshape(self.edge, -1)[:, self.disc].astype(np.float32)
        lines = (columns @ self.slices).view(np.complex64)
        spectra: Complex = fft.fft(lines.reshape(self.edge, len(self.angles), -1), axis=0)
        return spectra

    def reconstruct(self, spectra: Complex) -> Array:
        """(b, b, b) float32: weighted back-projection of the middle of the cube.

        The weight is the ramp, at zero frequency a quarter of its first step (the mean of |k| over
        the central cell). Source: Radermacher 1992, Electron Tomography, chapter 5.
        """
        start = self.edge // 2 - self.box // 2
        lines = fft.ifft(spectra, axis=0)[start : start + self.box]
        flat = np.ascontiguousarray(lines.reshape(self.box, -1), np.complex64).view(np.float32)
        middle = (flat @ self.back).reshape(self.box, self.box, self.box)
        return np.ascontiguousarray(middle.transpose(1, 0, 2))  # (z, y, x)

    def white_noise(self, rng: np.random.Generator) -> Complex:
        """(d, t, d//2 + 1) complex64 spectra of images of independent pixels of variance one."""
        pixels = rng.standard_normal((self.edge, len(self.angles), self.edge), dtype=np.float32)
        spectra: Complex = fft.fft(fft.rfft(pixels, axis=2), axis=0)
        return spectra

    def variance(self, power: Array) -> float:
        """Expected variance of a reconstructed voxel of white noise times `power` (d, t, d//2+1).

        A reconstruction is linear in independent Fourier samples, so their variances add.
        """
        each = np.square(self.weights)[None] * power / _multiplicity(self.edge)
        return float(each.sum(dtype=np.float64))


def _check_size(edge: int, box: int, tilts: int) -> None:
    gibibytes = 4 * tilts * (edge + 2) * (0.785 * edge**2 + box**2) / 2**30
    if gibibytes > LARGEST:
        raise InputError(
            expected=f"a tilt series of at most {LARGEST:g} GiB of matrices in each process",
            found=f"{gibibytes:.1f} GiB for a box of {box} voxels and {tilts} tilts",
            todo="Make box smaller with a larger voxel_spacing, or give recipe=convolution.",
        )


def _plane(size: int) -> Array:
    """(2, size * size) z and x of the voxels of a plane, 0 at voxel size // 2."""
    axis = np.arange(size) - size // 2
    return np.stack(np.meshgrid(axis, axis, indexing="ij")).reshape(2, -1).astype(np.float64)


def _disc(edge: int) -> np.ndarray:
    """Voxels of the plane that stay within the image at every tilt."""
    z, x = _plane(edge)
    return np.flatnonzero(np.hypot(z, x) <= edge // 2 - 0.5)


def _waves(points: Array, edge: int, angles: Array) -> Array:
    """(m, t, d//2 + 1, 2) float32: exp(−2πi k x') of points (2, m), z and x, at every tilt."""
    (z, x), theta = points, np.radians(angles)
    shifted = np.outer(x, np.cos(theta)) + np.outer(z, np.sin(theta))
    turns = shifted[..., None] * (np.arange(edge // 2 + 1) / edge)
    turns -= np.rint(turns)  # few turns, so that float32 has them exactly enough
    phase = (2 * np.pi * turns).astype(np.float32)
    return np.stack([np.cos(phase), -np.sin(phase)], axis=-1)


def _density(edge: int, angles: Array) -> Array:
    """(t, d//2 + 1) area of the (kz, kx) plane for each sample, both signs of k counted."""
    radius = np.arange(edge // 2 + 1.0)
    ring = np.where(radius == 0, 0.25, 2 * radius)
    if edge % 2 == 0:
        ring[-1] = 0  # at Nyquist one sample stands for both signs, and a slice has only one
    span = np.radians(np.abs(np.gradient(angles)))
    density: Array = np.outer(span, ring) / edge**2
    return density.astype(np.float32)


def _multiplicity(edge: int) -> Array:
    """(d//2 + 1,) such that |weights|² power / it sums to the variance of a voxel."""
    both = np.full(edge // 2 + 1, 2.0)
    both[0] = 1.0
    return both
