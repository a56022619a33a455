"""TIFF files: pages are sections; ImageJ, OME or the resolution tags state the voxel spacing."""

from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from tomodistill.subtomograms.mrc_header import common_spacing
from tomodistill.subtomograms.spacing import LARGEST_SPACING, SMALLEST_SPACING
from tomodistill.tomograms.units import angstrom
from tomodistill.tomograms.volume_file import VolumeFile, mapped, parsed, refusal, volume_file

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_IN_CENTIMETRES = 1e8  # Å


def read_tiff(path: Path) -> VolumeFile:
    """A volume, or a stack of volumes; compressed or scattered pages are read whole.

    Raises InputError for a damaged file, and for colours.
    """
    with parsed(path, "TIFF file"), tifffile.TiffFile(path) as tiff:
        array, spacing = _array(path, tiff), _spacing(tiff)
    return volume_file(path, array, voxel_spacing=spacing)


def _array(path: Path, tiff: tifffile.TiffFile) -> NDArray[Any]:
    series, *others = tiff.series
    if others:
        todo = "Save each to a file of its own."
        raise refusal(path, "one volume", f"{len(tiff.series)} series of pages", todo)
    leading, plane = series.axes[:-2], series.axes[-2:]
    if plane != "YX" or ("C" in leading and len(leading) > 1):
        todo = "Save one channel, in grey."
        raise refusal(path, "pages of sections", f"colours, axes {series.axes}", todo)
    if series.dataoffset is None:
        return series.asarray()
    dtype = series.dtype.newbyteorder(tiff.byteorder)
    return mapped(path, series.shape, dtype, series.dataoffset)


def _spacing(tiff: tifffile.TiffFile) -> float | None:
    """Å; None unless in units of length, and of the order of a voxel: 72 dots per inch are not."""
    spacing = common_spacing(_stated(tiff))
    return spacing if spacing and SMALLEST_SPACING <= spacing <= LARGEST_SPACING else None


def _stated(tiff: tifffile.TiffFile) -> list[float]:
    """Å along x, y and, where it is said, z; zeros if there is no unit."""
    page = tiff.pages.first
    if tiff.imagej_metadata:
        unit = angstrom(_unescaped(tiff.imagej_metadata.get("unit", "")))
        z = tiff.imagej_metadata.get("spacing")
        return _each(unit, page.resolution) + ([unit * z] if z else [])
    if tiff.ome_metadata:
        return _of_ome(tiff.ome_metadata)
    if page.resolutionunit in (tifffile.RESUNIT.INCH, tifffile.RESUNIT.CENTIMETER):
        return _each(_IN_CENTIMETRES, page.get_resolution("centimeter"))
    return [0.0]


def _each(length: float, dots: tuple[float, float]) -> list[float]:
    """Of as many dots in that length; 0 where their number is not known."""
    return [length / number if number else 0.0 for number in dots]


def _of_ome(metadata: str) -> list[float]:
    image = tifffile.xml2dict(metadata)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    sizes = {axis: pixels.get(f"PhysicalSize{axis}", 0.0) for axis in "XYZ"}
    units = {axis: str(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "XYZ"}
    return [size * angstrom(units[axis]) for axis, size in sizes.items() if size or axis == "X"]


def _unescaped(unit: str) -> str:
    """ImageJ writes letters beyond ASCII as backslash, u and four digits."""
    return unit.encode("ascii", "ignore").decode("unicode_escape") if "\\" in unit else unit
