import numpy as np
import pytest

from tomodistill.evaluation.set_figures import (
    BAND,
    Preview,
    grey,
    grid_figure,
    items_figure,
    montage_figure,
    mosaic,
    wedge_plane,
    xy,
    xz,
)
from tomodistill.simulation.wedge import measured_region

BOX = 16
SPACING = 10.0  # Å
TILTS = (-76.0, 47.0)


def wave(kz: int, ky: int, kx: int, box: int = BOX) -> np.ndarray:
    """(d, d, d) of amplitude one; frequencies in Fourier voxels."""
    phase = np.tensordot((kz, ky, kx), np.indices((box,) * 3), 1) * 2 * np.pi / box
    return np.cos(phase).astype(np.float32)


def preview(rng: np.random.Generator, classes: int, *, level: float = 1.0) -> Preview:
    """Waves as signals, one for each class, white noise, two items of each."""
    signal = np.stack([np.stack([wave(1 + label % 5, 0, 0)] * 2) for label in range(classes)])
    noise = rng.normal(0, level, signal.shape).astype(np.float32)
    names = tuple(f"class_{label}" for label in range(classes))
    return Preview(names, signal, noise, SPACING, TILTS)


def test_central_slices_show_the_beam_going_up() -> None:
    volume = np.zeros((1, BOX, BOX, BOX), np.float32)
    volume[0, BOX - 1, BOX // 2, 3] = 1  # far along z, on the tilt axis' plane
    volume[0, BOX // 2, 5, 2] = 2
    assert np.argwhere(xz(volume)[0]).tolist() == [[0, 3]]  # the top row
    assert np.argwhere(xy(volume)[0]).tolist() == [[5, 2]]


def test_grey_is_black_at_minus_reach_and_never_beyond() -> None:
    shown = grey(np.array([-9, -2, 0, 1, 2, 9], np.float32), 2.0)
    np.testing.assert_allclose(shown, [0, 0, 0.5, 0.75, 1, 1])
    np.testing.assert_array_equal(grey(np.zeros(3, np.float32), 0.0), 0.5)  # empty ice


def test_a_mosaic_keeps_every_tile_in_its_place() -> None:
    tiles = np.arange(2 * 3 * 4 * 4, dtype=np.float32).reshape(2, 3, 4, 4)
    whole = mosaic(tiles)
    assert whole.shape == (9, 14)
    for row, column in np.ndindex(2, 3):
        at = whole[5 * row : 5 * row + 4, 5 * column : 5 * column + 4]
        np.testing.assert_array_equal(at, tiles[row, column])
    assert np.isnan(whole).sum() == 9 * 14 - tiles.size


def test_the_wedge_plane_is_dark_where_no_tilt_measured(rng: np.random.Generator) -> None:
    measured = measured_region(32, *TILTS)
    white = np.fft.fftn(rng.normal(size=(30, 32, 32, 32)), axes=(1, 2, 3))
    volumes = np.fft.ifftn(white * measured, axes=(1, 2, 3)).real.astype(np.float32)
    plane = wedge_plane(volumes)
    inside = np.fft.fftshift(measured[:, 0, :])
    kz, kx = np.indices((32, 32)) - 16
    angle = np.degrees(np.arctan2(kz, kx)) % 180
    far = (np.hypot(kz, kx) > 6) & (np.hypot(kz, kx) < 15)
    assert (inside == ((angle <= 47) | (angle >= 104)))[far].all()
    deep = far & (angle > 57) & (angle < 94)  # ten degrees within the missing wedge, on its side
    well = far & ((angle < 37) | (angle > 114))
    assert plane[well].mean() - plane[deep].mean() > 2  # a hundredfold
    assert plane[well].min() > plane[deep].max()


def test_the_wedge_plane_has_its_axes_in_order() -> None:
    plane = wedge_plane(wave(5, 0, 2)[None])
    peaks = {tuple(at) for at in np.argwhere(plane > plane.max() - 0.1) - BOX // 2}
    assert peaks == {(5, 2), (-5, -2)}


@pytest.mark.parametrize(("classes", "columns"), [(4, 1), (12, 1), (13, 2), (30, 3)])
def test_every_class_has_its_row(rng: np.random.Generator, classes: int, columns: int) -> None:
    shown = preview(rng, classes)
    *blocks, _, _ = montage_figure(shown, title="a set").axes
    assert len(blocks) == columns
    names = [label.get_text() for axes in blocks for label in axes.get_yticklabels()]
    assert names == list(shown.class_names)
    images = [np.asarray(axes.images[0].get_array()) for axes in blocks]
    rows = [(len(image) + 1) // (BOX + 1) for image in images]
    assert sum(rows) == classes
    last = images[-1][-BOX:, :BOX]  # the signal's slice of the last class
    np.testing.assert_allclose(last, grey(xy(shown.signal[-1, 0]), 1.0), atol=1e-6)


def test_a_row_shows_signal_item_and_another(rng: np.random.Generator) -> None:
    shown = preview(rng, 4)
    axes = montage_figure(shown, title="a set").axes[0]
    image = np.asarray(axes.images[0].get_array())
    tiles = [image[:BOX, at : at + BOX] for at in range(0, image.shape[1], BOX + 1)]
    items = shown.signal + shown.noise
    reach = np.quantile(np.abs(items), 0.998)
    heads = [label.get_text() for label in axes.get_xticklabels()]
    assert heads[:2] == ["signal\nx–y", "item\nx–y"]
    assert len(tiles) == len(heads) == 6
    np.testing.assert_allclose(tiles[1], grey(xy(items[0, 0]), reach), atol=1e-6)
    np.testing.assert_allclose(tiles[5], grey(xy(items[0, 1]), reach), atol=1e-6)
    np.testing.assert_allclose(tiles[3], grey(xz(shown.signal[0, 0]), 1.0), atol=1e-6)
    assert np.std(np.diff(tiles[2])) < 0.5 * np.std(np.diff(tiles[1]))  # smoother: low-passed


def test_spectra_stand_over_frequency_in_units_of_the_noise(rng: np.random.Generator) -> None:
    shown = preview(rng, 4, level=2.0)
    spectra = montage_figure(shown, title="a set").axes[-2]
    lines = {line.get_label(): line for line in spectra.lines}
    noise, signal, items = (lines[n] for n in ("noise alone", "signal alone", "items"))
    np.testing.assert_allclose(noise.get_xdata(), np.arange(1, 9) / (BOX * SPACING))
    np.testing.assert_allclose(noise.get_ydata()[1:], 1, rtol=0.1)  # white
    assert np.argmax(signal.get_ydata()) == 0  # one of 18 voxels: the fewest in a shell
    assert signal.get_ydata()[4:].max() < 1e-6  # no class has a wave beyond the fourth shell
    np.testing.assert_allclose(items.get_ydata()[4:], noise.get_ydata()[4:], rtol=1e-3)
    assert lines[f"1/{BAND:g} Å"].get_xdata()[0] == pytest.approx(0.025)
    assert (spectra.get_yscale(), spectra.get_xlabel()) == ("log", "spatial frequency, 1/Å")


def test_tilt_limits_are_drawn_where_the_wedge_begins(rng: np.random.Generator) -> None:
    axes = montage_figure(preview(rng, 4), title="a set").axes[-1]
    slopes = [line.get_xy2()[1] / line.get_xy2()[0] for line in axes.lines]
    np.testing.assert_allclose(slopes, np.tan(np.radians(TILTS)))
    low, high, *_ = axes.images[0].get_extent()
    assert (low, high) == pytest.approx((-8.5 / 160, 7.5 / 160))  # 1/Å; voxel 8 is zero


def test_empty_ice_has_a_row_of_plain_grey(rng: np.random.Generator) -> None:
    shown = preview(rng, 4)
    shown.signal[3] = 0
    image = np.asarray(montage_figure(shown, title="a set").axes[0].images[0].get_array())
    np.testing.assert_array_equal(image[-BOX:, :BOX], 0.5)


def test_items_that_share_no_scale_are_seen_alike(rng: np.random.Generator) -> None:
    """Experimental volumes have offsets and scales of any size."""
    items = np.stack([np.stack([wave(0, 1, 2), wave(0, 2, 1)])] * 2)
    items[1] = 1e4 * items[1] + 1e6
    names = ("small", "large")
    figure = items_figure(items, class_names=names, voxel_spacing=SPACING, title="two classes")
    (axes,) = figure.axes
    shown = np.asarray(axes.images[0].get_array())
    assert shown.shape == (2 * (BOX + 1) - 1, 4 * (BOX + 1) - 1)
    np.testing.assert_allclose(shown[:BOX], shown[BOX + 1 :], atol=2e-3)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(names)


def test_a_grid_has_a_row_for_each_snr_and_three_slices_for_each_tilt_range(
    rng: np.random.Generator,
) -> None:
    signal = np.stack([wave(0, 1, 0), wave(0, 0, 2)])
    items = signal + rng.normal(size=(3, *signal.shape)).astype(np.float32)
    figure = grid_figure(
        signal,
        items,
        snrs=("0.5", "0.1", "0.05"),
        tilts=("±60°", "±40°"),
        voxel_spacing=SPACING,
        title="one particle",
    )
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    heads = [label.get_text().split("\n")[0] for label in axes.get_xticklabels()]
    assert rows == ["signal", "SNR 0.5", "SNR 0.1", "SNR 0.05"]
    assert heads == ["±60°"] * 3 + ["±40°"] * 3
    image = np.asarray(axes.images[0].get_array())
    step = BOX + 1
    expected = grey(xy(items[1, 1]), np.quantile(np.abs(items[1]), 0.998))
    np.testing.assert_allclose(
        image[2 * step : 2 * step + BOX, 3 * step : 3 * step + BOX], expected, atol=1e-6
    )
    np.testing.assert_allclose(
        image[:BOX, 5 * step :], grey(xz(signal[1]), np.quantile(np.abs(signal), 0.998)), atol=1e-6
    )
