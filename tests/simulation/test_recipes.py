"""What both recipes must do, and where they must agree."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import fft
from scipy.spatial.transform import Rotation

from tomodistill.errors import InputError
from tomodistill.simulation import optics
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.convolution import Convolution
from tomodistill.simulation.exposure import Exposure
from tomodistill.simulation.scene import Pose, place
from tomodistill.simulation.tilt_series import TiltSeries
from tomodistill.simulation.wedge import measured_region

RECIPES = [Convolution, TiltSeries]
CONFIG = SimulationConfig(box=28, tilt_step=4.0)
SEEN = Exposure(defocus=3.0, snr=1.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def scene(structure, edge, shift=(0.0, 0.0, 0.0)):
    filled = np.zeros((edge,) * 3, np.float32)
    place(filled, structure, Pose(Rotation.from_rotvec([0.3, 0.7, -0.4]), np.array(shift)))
    return filled


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def middle(volume, box):
    start = len(volume) // 2 - box // 2
    return volume[(slice(start, start + box),) * 3]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("box", [27, 28])
def test_the_particle_is_dark_and_in_its_place(recipe, box, structures):
    imaging = recipe(replace(CONFIG, box=box, tilt_min=-80.0, tilt_max=80.0))
    for structure in structures:
        filled = scene(structure, imaging.edge, (2.0, -3.0, 1.0))
        assert correlation(imaging.image(filled, SEEN), middle(filled, box)) < -0.6


@pytest.mark.parametrize("recipe", RECIPES)
def test_imaging_is_linear(recipe, structures):
    imaging = recipe(CONFIG)
    a, b = (scene(structure, imaging.edge) for structure in structures[:2])
    together = imaging.image(2 * a + b, SEEN)
    assert together == pytest.approx(
        2 * imaging.image(a, SEEN) + imaging.image(b, SEEN),
        abs=1e-4 * float(np.abs(together).max()),
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_wraps_round(recipe, structures):
    """In a cube half as wide again the same box comes out: copies do not reach it."""
    # All tilts: the convolution's binary wedge itself reaches through any cube.
    config = replace(CONFIG, tilt_min=-90.0, tilt_max=90.0)
    narrow, wide = recipe(config), recipe(replace(config, box=2 * CONFIG.box))
    assert wide.edge > 1.3 * narrow.edge
    seen = narrow.image(scene(structures[0], narrow.edge, (6.0, 6.0, -6.0)), SEEN)
    again = wide.image(scene(structures[0], wide.edge, (6.0, 6.0, -6.0)), SEEN)
    difference = seen - middle(again, CONFIG.box)
    difference -= difference.mean()
    assert difference.std() < 0.05 * seen.std()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lowpass", [0.0, 40.0])
def test_noise_has_variance_one(recipe, share, lowpass):
    imaging = recipe(replace(CONFIG, structural_noise=share, recipe_lowpass=lowpass))
    made = [imaging.noise(SEEN, rng(seed)) for seed in range(16)]
    assert np.var(made) == pytest.approx(1.0, rel=0.03)


def spectrum(volumes):
    """Mean power by distance from zero, in tenths of Nyquist, within the measured region."""
    box = len(volumes[0])
    taper = np.hanning(box)
    window = taper[:, None, None] * taper[:, None] * taper  # what is cropped has edges
    power = np.mean([np.abs(fft.fftn(volume * window)) ** 2 for volume in volumes], axis=0)
    k = 2 * fft.fftfreq(box)
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
    inside = measured_region(box, -50, 50) & (radius < 1)
    tenths = (10 * radius[inside]).astype(int)
    return np.bincount(tenths, power[inside]) / np.bincount(tenths)


def test_shot_noise_of_a_convolution_is_white():
    imaging = Convolution(replace(CONFIG, structural_noise=0.0))
    power = spectrum([imaging.noise(SEEN, rng(seed)) for seed in range(12)])
    assert power[2:9] / power[2:9].mean() == pytest.approx(np.ones(7), abs=0.12)


def test_shot_noise_of_a_tilt_series_is_white_where_slices_lie_dense():
    # Back-projection weights every direction alike, so where the slices overlap power falls with
    # their number: as the ramp over its square, i.e. as k up to Crowther's frequency.
    imaging = TiltSeries(replace(CONFIG, structural_noise=0.0, tilt_step=2.0))
    power = spectrum([imaging.noise(SEEN, rng(seed)) for seed in range(12)])
    rising = power[2:8] / np.arange(2.5, 8.5)
    assert rising / rising.mean() == pytest.approx(np.ones(6), abs=0.2)


@pytest.mark.parametrize("recipe", RECIPES)
def test_structural_noise_shows_the_rings_of_the_ctf(recipe):
    defocus = 9.8  # µm: the first zero at 1/44 Å, 0.45 of Nyquist
    imaging = recipe(replace(CONFIG, structural_noise=1.0, box=48, defocus=Range(2.0, 10.0)))
    seen = Exposure(defocus=defocus, snr=1.0)
    power = spectrum([imaging.noise(seen, rng(seed)) for seed in range(6)])
    assert power[4] < 0.5 * power[3]
    assert power[4] < 0.5 * power[5]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("tilts", [(-60.0, 60.0), (-76.0, 47.0)])
def test_missing_wedge_is_empty_before_cropping(recipe, tilts, structures):
    """Boxes as large as the padded cube: nothing is cropped, the wedge is what was not measured."""
    config = replace(CONFIG, tilt_min=tilts[0], tilt_max=tilts[1], tilt_step=2.0)
    imaging = recipe(config)
    imaging = recipe(replace(config, box=imaging.edge, defocus=Range(0.0, 0.0)))
    seen = imaging.image(scene(structures[0], imaging.edge), SEEN)
    region = measured_region(len(seen), tilts[0] - 6, tilts[1] + 6)
    power = np.abs(fft.fftn(seen)) ** 2
    k = np.abs(fft.fftfreq(len(seen)))
    away = np.hypot(k[:, None, None], k) > 0.06  # near the tilt axis slices are wider than wedges
    outside = power[~region & away].sum() / power.sum()
    assert outside < (1e-9 if recipe is Convolution else 3e-3)


def fsc(a, b, region):
    fa, fb = (fft.fftn(volume) for volume in (a, b))
    k = 2 * fft.fftfreq(len(a))
    radius = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2)
    inside = region & (radius < 1)
    tenths = (10 * radius[inside]).astype(int)

    def summed(values):
        return np.bincount(tenths, values[inside])

    cross = summed((fa * fb.conj()).real)
    return cross / np.sqrt(summed(np.abs(fa) ** 2) * summed(np.abs(fb) ** 2))


def test_both_recipes_agree_where_they_should(structures):
    """Without dose and thickness, on one defocus, in dense tilts: the same optics, two ways."""
    config = replace(CONFIG, dose=0.0, thickness=0.0, tilt_step=1.0, box=32)
    solid, tilted = Convolution(config), TiltSeries(config)
    region = measured_region(32, -54, 54)
    for structure in structures:
        a, b = (each.image(scene(structure, each.edge), SEEN) for each in (solid, tilted))
        assert fsc(a, b, region)[1:6].min() > 0.97
        scale = (a * b).sum() / (b * b).sum()
        assert scale == pytest.approx(1.0, abs=0.1)


def test_dose_and_thickness_cost_signal():
    config = replace(CONFIG, dose=0.0, thickness=0.0)
    whole = TiltSeries(config)
    flat, high = (np.isclose(whole.projector.angles, tilt) for tilt in (0.0, 60.0))
    thick = TiltSeries(replace(config, thickness=300.0)).signal / whole.signal
    assert thick[:, flat] == pytest.approx(np.ones_like(thick[:, flat]))
    assert thick[:, high] == pytest.approx(np.exp(-300 / 790) * np.ones_like(thick[:, high]))
    dosed = TiltSeries(replace(config, dose=3.0)).signal / whole.signal
    first = whole.projector.radius == 1
    kept = dosed[0, first]  # at one frequency, by tilt: least at the last, highest tilts
    assert kept.argmax() == len(kept) // 2
    assert kept[[0, -1]].max() < kept.min(where=np.arange(len(kept)) % 30 != 0, initial=1.0)
    assert (np.diff(dosed[0, flat]) < 0).all()  # fine detail goes first


def test_each_tilt_has_the_defocus_of_its_height():
    """5 µm off the axis: at +60 degrees the particle rises by 4.3 µm against the beam."""
    imaging = TiltSeries(replace(CONFIG, field=10.0))
    seen = imaging._ctf(Exposure(defocus=6.0, snr=1.0, x=5.0))[0]
    for tilt, defocus in ((60.0, 6.0 - 4.33), (0.0, 6.0), (-60.0, 6.0 + 4.33)):
        of_tilt = np.isclose(imaging.projector.angles, tilt)
        expected = optics.ctf(
            imaging.frequency[0, of_tilt],
            defocus=defocus,
            voltage=300.0,
            cs=2.7,
            amplitude_contrast=0.07,
        )
        assert seen[of_tilt] == pytest.approx(expected, abs=0.02)


def test_structural_noise_grows_with_the_way_through_the_ice():
    imaging = TiltSeries(replace(CONFIG, thickness=150.0))
    high, flat = (np.isclose(imaging.projector.angles, tilt) for tilt in (60.0, 0.0))
    ratio = (np.square(imaging.ice) * imaging.path)[0]
    # Twice the ice, seen by the share exp(-150 / 395) of the electrons.
    assert ratio[high][1] / ratio[flat][1] == pytest.approx(2 * np.exp(-150 / 395), rel=1e-3)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_cube_that_no_memory_holds_is_refused(recipe):
    with pytest.raises(InputError, match=r"found 1[01]..: the CTF spreads"):
        recipe(replace(CONFIG, box=40, voxel_spacing=1.0))


def test_optics_that_show_nothing_are_refused():
    dark = replace(CONFIG, defocus=Range(0.0, 0.0), cs=0.0, amplitude_contrast=0.0)
    for recipe in RECIPES:
        with pytest.raises(InputError, match="let some of the noise through"):
            recipe(dark).noise(Exposure(defocus=0.0, snr=1.0), rng())


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Convolution, (-0.20587, 0.53047, 0.06081, 1.43092)),
        (TiltSeries, (-0.14726, -1.39950, 0.85656, -0.53324)),
    ],
)
def test_volumes_of_a_recipe_are_fixed(recipe, expected):
    """Numbers of this recipe, on any platform within 1e-4: a change here makes other sets."""
    imaging = recipe(CONFIG)
    axis = np.arange(imaging.edge, dtype=np.float32) - imaging.edge // 2
    ball = np.exp(-0.1 * ((axis[:, None, None] - 2) ** 2 + axis[:, None] ** 2 + (axis + 1) ** 2))
    volume = imaging.image(ball, SEEN) + imaging.noise(SEEN, rng())
    assert tuple(volume[16, 14, 5::6]) == pytest.approx(expected, abs=1e-4)
