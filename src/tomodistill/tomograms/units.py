"""Lengths as other formats state them."""

_ANGSTROM = {  # of one unit, by its names in ImageJ, OME-TIFF and OME-Zarr
    "pm": 0.01,
    "picometer": 0.01,
    "a": 1.0,
    "å": 1.0,
    "angstrom": 1.0,
    "nm": 10.0,
    "nanometer": 10.0,
    "um": 1e4,
    "µm": 1e4,  # with the micro sign
    "\N{GREEK SMALL LETTER MU}m": 1e4,
    "micron": 1e4,
    "micrometer": 1e4,
}


def angstrom(unit: str) -> float:
    """Å of one unit; 0 for one that is no length of this world, "pixel" say."""
    return _ANGSTROM.get(unit.strip().lower().removesuffix("s"), 0.0)
