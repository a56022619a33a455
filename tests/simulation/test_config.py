import pytest

from tomodistill.errors import InputError
from tomodistill.simulation.config import SimulationConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("items", 0),
        ("box", 4),
        ("voxel_spacing", 0.0),
        ("tilt_min", -91.0),
        ("tilt_max", -60.0),
        ("snr", 0.0),
        ("snr", float("inf")),
        ("snr", float("nan")),
        ("shift", -1.0),
        ("shift", 20.0),
        ("defocus_min", 6.0),
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
    with pytest.raises(InputError, match=r"found snr=-2"):
        SimulationConfig(snr=-2)


def test_asymmetric_tilt_range_is_accepted():
    assert SimulationConfig(tilt_min=-76.0, tilt_max=47.0).tilt_range == (-76.0, 47.0)
