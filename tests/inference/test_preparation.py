"""A box of 40 voxels at 10 Å, and whatever spans the same 400 Å."""

from dataclasses import replace

import numpy as np
import pytest

from tests.versions import MANIFEST
from tomodistill.errors import InputError
from tomodistill.inference.preparation import Prepared, prepare
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess

BOX, SPACING = 40, 10.0
MODEL = replace(MANIFEST, box=BOX, voxel_spacing=SPACING, preprocessing=Preprocessing(lowpass=30.0))
CROPPING = replace(MODEL, preprocessing=Preprocessing(lowpass=30.0, crop=32))
UNFILTERED = replace(MODEL, preprocessing=Preprocessing(lowpass=0.0))


def sampled(box: int, waves: int = 15) -> np.ndarray:
    """(1, d, d, d) one band-limited scene of 400 Å, whatever the box: the same random waves."""
    rng = np.random.default_rng(5)
    position = (np.arange(box) - (box - 1) / 2) / box  # of 400 Å, from the centre
    k = np.arange(-waves, waves + 1)
    basis = np.exp(2j * np.pi * position[:, None] * k)  # (d, 2w + 1)
    amplitude = rng.normal(size=(len(k),) * 3) + 1j * rng.normal(size=(len(k),) * 3)
    return np.einsum("zk,yl,xm,klm->zyx", *[basis] * 3, amplitude, optimize=True).real[None]


def seen(volumes: np.ndarray, spacing: float | None, model: Manifest = MODEL) -> Prepared:
    return prepare(model, volumes, voxel_spacing=spacing)


@pytest.mark.parametrize("model", [MODEL, CROPPING, UNFILTERED])
@pytest.mark.parametrize(("box", "spacing"), [(80, 5.0), (64, 6.25), (57, 400 / 57), (41, 9.7561)])
def test_the_network_sees_the_same_at_any_sampling(model, box: int, spacing: float) -> None:
    found, expected = seen(sampled(box), spacing, model), seen(sampled(BOX), SPACING, model)
    np.testing.assert_allclose(found.volumes, expected.volumes, atol=2e-5)  # of variance 1
    assert (found.box, found.voxel_spacing, found.rescaled) == (box, spacing, True)


def test_waves_that_the_model_cannot_have_leave_nothing() -> None:
    fine = sampled(80, waves=15)
    x = np.arange(80)
    noisy = fine + 50 * np.cos(2 * np.pi * 27 * x / 80)  # 14.8 Å; two voxels of the model are 20
    np.testing.assert_allclose(seen(noisy, 5.0).volumes, seen(fine, 5.0).volumes, atol=1e-4)


@pytest.mark.parametrize(
    ("box", "spacing", "used"),
    [
        (60, 10.0, 40),
        (40, 10.19, 40),
        (60, 9.81, 40),
        (60, 10.19, 40),
        (100, 5.0, 80),
        (101, 5.0, 81),
        (80, 5.05, 80),
        (79, 5.0, 79),
        (64, 9.1, 44),
        (160, 2.5, 160),
    ],
)
def test_central_voxels_that_span_the_box(rng, box: int, spacing: float, used: int) -> None:
    volumes = rng.normal(size=(1, box, box, box)).astype(np.float32)
    found = seen(volumes, spacing)
    assert (found.box, found.rescaled) == (used, used != BOX)
    assert found.volumes.shape == (1, BOX, BOX, BOX)
    cut = (box - used) // 2
    inner = volumes[:, cut : box - cut, cut : box - cut, cut : box - cut]
    np.testing.assert_array_equal(found.volumes, seen(inner, spacing).volumes)


@pytest.mark.parametrize("model", [MODEL, CROPPING, UNFILTERED])
@pytest.mark.parametrize("spacing", [None, 9.81, 10.19])
def test_the_models_own_box_is_preprocessed_as_ever(rng, model, spacing: float | None) -> None:
    volumes = rng.normal(size=(2, BOX, BOX, BOX)).astype(np.float32)
    parameters = model.preprocessing
    as_ever = preprocess(volumes, voxel_spacing=SPACING, contrast="dark", parameters=parameters)
    np.testing.assert_array_equal(seen(volumes, spacing, model).volumes, as_ever)


@pytest.mark.parametrize(
    ("box", "spacing", "expected"),
    [
        (79, 4.9, "boxes of 82 x 82 x 82 voxels at 4.900 Å"),
        (41, 10.0, "boxes of 40 x 40 x 40 voxels at 10.000 Å, or an even number more"),
        (64, 9.3, "boxes of 43 x 43 x 43 voxels at 9.300 Å, or an even number more"),
        (39, 10.0, "boxes of 40 x 40 x 40 voxels at 10.000 Å"),
        (41, None, "boxes of 40 x 40 x 40 voxels"),
        (40, 10.21, "a voxel spacing of 10.0 Å or less"),
        (80, 20.0, "a voxel spacing of 10.0 Å or less"),
        *((40, wrong, "a voxel spacing of 0.01 to 1000 Å") for wrong in (0.0, -5.0, 1e-300, 1e9)),
        *((40, wrong, "a voxel spacing of 0.01 to 1000 Å") for wrong in (np.nan, np.inf)),
    ],
)
def test_what_cannot_be_brought_to_the_model_is_refused(box: int, spacing, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        seen(np.zeros((1, box, box, box), np.float32), spacing)
    assert caught.value.expected.startswith(expected)


@pytest.mark.parametrize("box", [27, 40, 64])
def test_a_box_that_a_refusal_asks_for_is_taken(box: int) -> None:
    model = replace(MODEL, box=box)
    for spacing in np.linspace(3.0, 10.19, 20):
        with pytest.raises(InputError) as caught:
            prepare(model, np.zeros((1, 2, 2, 2)), voxel_spacing=spacing)
        asked = int(caught.value.expected.split()[2])
        for more in (0, 2):
            volumes = np.zeros((0, *[asked + more] * 3))
            assert prepare(model, volumes, voxel_spacing=spacing).box in (asked, asked + more)


def test_contrast_is_the_stated_one_else_the_models(rng) -> None:
    volumes = rng.normal(size=(1, BOX, BOX, BOX)).astype(np.float32)
    dark, bright = (prepare(MODEL, volumes, contrast=c) for c in ("dark", "bright"))
    np.testing.assert_array_equal(dark.volumes, -bright.volumes)
    assumed = prepare(MODEL, volumes)
    np.testing.assert_array_equal(assumed.volumes, dark.volumes)
    assert (assumed.contrast, assumed.voxel_spacing) == ("dark", SPACING)
    assert assumed.assumed == ("voxel_spacing", "contrast")
    assert bright.assumed == ("voxel_spacing",)
    assert prepare(MODEL, volumes, voxel_spacing=10.1, contrast="dark").assumed == ()
