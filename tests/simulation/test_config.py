import numpy as np
import pytest

from tomodistill.errors import InputError
from tomodistill.simulation.config import Range, SimulationConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("items", 0),
        ("box", 4),
        ("voxel_spacing", 0.0),
        ("tilt_min", -91.0),
        ("tilt_max", -60.0),
        ("tilt_step", 0.0),
        ("tilt_step", 121.0),
        ("dose", -1.0),
        ("thickness", 1001.0),
        ("field", -0.1),
        ("binning", 0.5),
        ("mtf_nyquist", 0.0),
        ("map_spacing", -1.0),
        ("recipe", "poetry"),
        ("storage", "float8"),
        ("snr", Range(0.0, 0.0)),
        ("snr", Range(0.5, 0.1)),
        ("snr", Range(0.1, float("inf"))),
        ("snr", Range(float("nan"), float("nan"))),
        ("recipe_lowpass", -1.0),
        ("recipe_lowpass", float("inf")),
        ("structural_noise", 1.1),
        ("neighbours", -0.1),
        ("membranes", 2.0),
        ("gold", float("nan")),
        ("off_centre", 1.5),
        ("debris", -1.0),
        ("none", -1.0),
        ("shift", -1.0),
        ("shift", 20.0),
        ("defocus", Range(6.0, 5.0)),
        ("defocus", Range(-1.0, 5.0)),
        ("defocus", Range(2.0, 21.0)),
        ("voltage", 0.3),
        ("cs", -1.0),
        ("amplitude_contrast", 1.5),
        ("seed", -1),
    ],
)
def test_impossible_value_is_refused(name, value):
    with pytest.raises(InputError, match=r"expected .*; found "):
        SimulationConfig(**{name: value})


def test_error_names_the_value_found():
    with pytest.raises(InputError, match=r"found snr=-2\.\.3"):
        SimulationConfig(snr=Range(-2, 3))


def test_asymmetric_tilt_range_is_accepted():
    assert SimulationConfig(tilt_min=-76.0, tilt_max=47.0).tilt_range == (-76.0, 47.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.1", Range(0.1, 0.1)), ("0.03..0.5", Range(0.03, 0.5)), ("-1e3", Range(-1e3, -1e3))],
)
def test_range_from_text_and_back(text, expected):
    assert Range.parse(text) == expected
    assert Range.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "a", "1..", "..2", "1..2..3", "1-2"])
def test_text_that_is_no_range(text):
    with pytest.raises(ValueError, match="could not convert"):
        Range.parse(text)


def test_draws_fill_a_range():
    rng = np.random.default_rng(0)
    plain = [Range(2.0, 5.0).draw(rng) for _ in range(2000)]
    ratios = [Range(0.01, 1.0).draw_log(rng) for _ in range(2000)]
    assert (min(plain), max(plain)) == pytest.approx((2, 5), abs=0.01)
    assert np.mean(plain) == pytest.approx(3.5, abs=0.06)
    assert np.median(ratios) == pytest.approx(0.1, rel=0.1)  # as many below a tenth as above
