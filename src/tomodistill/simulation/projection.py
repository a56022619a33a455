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

LARGEST = 2.0  # GiB of arrays that each process keeps


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
    """The two matrices of one tilt series.

    Spectra are (d, s) complex64: ky, and every sample k > 0 of every slice that lies within the
    cube of frequencies that the voxels can carry (k = 0 too). At a tilt of 45 degrees that is √2
    times the Nyquist frequency: images come from finer pixels than tomograms have voxels.
    """

    edge: int  # d, voxels of the padded cube that is projected
    box: int  # b, voxels of the cube that is reconstructed in its middle
    tilt: np.ndarray  # (s,) which tilt each sample belongs to
    angles: Array  # (s,) its degrees
    radius: Array  # (s,) k of each sample, in steps of 1 / d
    weights: Array  # (s,) float32: share of the (kz, kx) plane for which a sample stands
    disc: np.ndarray  # (m,) positions in the flat (z, x) plane of the cube that take part
    slices: Array  # (m, 2 s) float32, real and imaginary parts in turns
    back: Array  # (2 s, b * b) float32

    @classmethod
    def of(cls, *, edge: int, box: int, angles: Array) -> Projector:
        """For tilts `angles` (t,). Raises InputError if the matrices were larger than LARGEST."""
        tilt, radius = _samples(edge, angles)
        _check_size(edge, box, len(angles), len(tilt))
        weights = _density(edge, angles)[tilt] * np.where(radius == 0, 0.25, 2 * radius)
        disc = _disc(edge)
        seen = _waves(_plane(edge)[:, disc], edge, angles[tilt], radius)
        crop = _waves(_plane(box), edge, angles[tilt], radius) * weights[:, None]
        return cls(
            edge=edge,
            box=box,
            tilt=tilt,
            angles=angles[tilt],
            radius=radius,
            weights=weights.astype(np.float32),
            disc=disc,
            slices=seen.reshape(len(seen), -1),
            back=np.ascontiguousarray(crop.reshape(len(crop), -1).T, np.float32),
        )

    def project(self, volume: Array) -> Complex:
        """(d, s) spectra of the projections of a cube (d, d, d), z, y, x.

        Along x' the origin is voxel d // 2 of the cube; along y it is voxel 0.
        """
        columns = volume.transpose(1, 0, 2).reshape(self.edge, -1)[:, self.disc].astype(np.float32)
        spectra: Complex = fft.fft((columns @ self.slices).view(np.complex64), axis=0)
        return spectra

    def reconstruct(self, spectra: Complex) -> Array:
        """(b, b, b) float32: weighted back-projection of the middle of the cube.

        The weight is the ramp, at zero frequency a quarter of its first step (the mean of |k| over
        the central cell). Source: Radermacher 1992, Electron Tomography, chapter 5.
        """
        start = self.edge // 2 - self.box // 2
        lines = fft.ifft(spectra, axis=0)[start : start + self.box].astype(np.complex64)
        middle = (lines.view(np.float32) @ self.back).reshape(self.box, self.box, self.box)
        return np.ascontiguousarray(middle.transpose(1, 0, 2))  # (z, y, x)

    def white_noise(self, rng: np.random.Generator) -> Complex:
        """(d, s) spectra of images whose pixels are independent and of variance one."""
        shape = (self.edge, len(self.radius), 2)
        lines = rng.standard_normal(shape, dtype=np.float32).view(np.complex64)[..., 0]
        spectra: Complex = fft.fft(lines * self._deviation(), axis=0)
        return spectra

    def variance(self, power: Array) -> float:
        """Expected variance of a reconstructed voxel of white noise times `power` (d, s).

        A reconstruction is linear in independent Fourier samples, so their variances add.
        """
        each = np.square(self.weights * self._deviation()) / self.edge * power
        return float(each.sum(dtype=np.float64))

    def _deviation(self) -> Array:
        """(s,) standard deviation of the real part of one sample of a line of white noise.

        The transform of a real line: at zero frequency all of it is real.
        """
        real: Array = np.sqrt(np.where(self.radius == 0, 1.0, 0.5) * self.edge)
        return real.astype(np.float32)


def _check_size(edge: int, box: int, tilts: int, samples: int) -> None:
    gibibytes = 8 * samples * (np.pi / 4 * edge**2 + box**2) / 2**30
    if gibibytes > LARGEST:
        raise InputError(
            expected=f"a tilt series of at most {LARGEST:g} GiB of matrices in each process",
            found=f"{gibibytes:.1f} GiB for a box of {box} voxels and {tilts} tilts",
            todo="Make box smaller with a larger voxel_spacing, or give recipe=convolution.",
        )


def _samples(edge: int, angles: Array) -> tuple[np.ndarray, Array]:
    """(s,) tilt and (s,) k of the samples on every slice with |kx| and |kz| below Nyquist."""
    theta = np.radians(angles)
    steeper = np.maximum(np.abs(np.cos(theta)), np.abs(np.sin(theta)))
    radius = np.arange(edge)
    inside = radius * steeper[:, None] < edge / 2 - 1e-9
    tilt, k = np.nonzero(inside)
    return tilt, radius[k].astype(np.float64)


def _plane(size: int) -> Array:
    """(2, size * size) z and x of the voxels of a plane, 0 at voxel size // 2."""
    axis = np.arange(size) - size // 2
    return np.stack(np.meshgrid(axis, axis, indexing="ij")).reshape(2, -1).astype(np.float64)


def _disc(edge: int) -> np.ndarray:
    """Voxels of the plane that stay within the image at every tilt."""
    z, x = _plane(edge)
    return np.flatnonzero(np.hypot(z, x) <= edge // 2 - 0.5)


def _waves(points: Array, edge: int, angles: Array, radius: Array) -> Array:
    """(m, s, 2) float32: exp(−2πi k x') of points (2, m), z and x, at every sample (s,)."""
    theta, step = np.radians(angles), radius / edge
    waves = np.empty((points.shape[1], len(radius), 2), np.float32)
    for wave, (z, x) in zip(waves, points.T, strict=True):  # one by one: the memory of one
        turns = (x * np.cos(theta) + z * np.sin(theta)) * step
        phase = (2 * np.pi * (turns - np.rint(turns))).astype(np.float32)  # small, so exact enough
        wave[:, 0], wave[:, 1] = np.cos(phase), -np.sin(phase)
    return waves


def _density(edge: int, angles: Array) -> Array:
    """(t,) area of the (kz, kx) plane, all of it being 1, of a sample at k = 1 of each slice.

    Half the gap to each neighbour; the first and the last slice are neighbours too, and the same
    slice at ±90 degrees.
    """
    gaps = np.diff(angles)
    closing = 180.0 - (angles[-1] - angles[0])
    before = np.append(min(closing, gaps[0]), gaps)
    after = np.append(gaps, min(closing, gaps[-1]))
    density: Array = np.radians((before + after) / 2) / edge**2
    return density
