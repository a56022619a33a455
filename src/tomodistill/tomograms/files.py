"""Volume files of every format that is read, told apart by what they are, not by their names."""

from pathlib import Path

from tomodistill.subtomograms.mrc_header import HEADER_BYTES
from tomodistill.subtomograms.volumes import LONGEST_NPY_HEADER, NPY_MAGIC, npy_header
from tomodistill.tomograms.hdf5 import read_hdf5
from tomodistill.tomograms.mrc import COMPRESSED, read_mrc
from tomodistill.tomograms.ome_zarr import is_zarr, read_zarr
from tomodistill.tomograms.tiff import TIFF_MAGICS, read_tiff
from tomodistill.tomograms.volume_file import VolumeFile, mapped, parsed, refusal, volume_file

MRC_SUFFIXES = (".mrc", ".mrcs", ".map", ".rec", ".st", ".ali", ".ccp4")
SUFFIXES = (*MRC_SUFFIXES, ".tif", ".tiff", ".npy", ".h5", ".hdf5", ".hdf", ".zarr")
READ = f"{', '.join(MRC_SUFFIXES)} (also {' and '.join(COMPRESSED)}), .tif, .npy, HDF5 or Zarr"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAP = slice(208, 211)  # where an MRC header says what it is


def open_volume(path: Path, *, dataset: str = "") -> VolumeFile:
    """Volumes (z, y, x) or (n, d, d, d), read where they are sliced; images (n, y, x) likewise.

    Close it after use: it is a context manager. `dataset` names the one to read of an HDF5 or Zarr
    file with several. Compressed files are read whole. Raises InputError for what is missing, of
    another kind, damaged, or holds nothing that could be a volume.
    """
    try:
        if path.is_dir():
            return _read_folder(path, dataset)
        with path.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
    except OSError as error:
        raise refusal(path, "a file to read", f"{error.strerror}", "Correct its name.") from error
    if head.startswith(_HDF5_MAGIC):
        return read_hdf5(path, dataset)
    if dataset:
        todo = "Leave the name of the data set out."
        raise refusal(path, f"an HDF5 or Zarr file with {dataset}", "another file", todo)
    return _read_file(path, head)


def open_tomogram(path: Path, *, dataset: str = "") -> VolumeFile:
    """One volume (z, y, x), as `open_volume` does. Raises InputError for stacks too."""
    file = open_volume(path, dataset=dataset)
    if file.holds == "volume":
        return file
    file.close()
    todo = "Give the reconstruction. If this is one, set ISPG to 1 in its header."
    found = f"a stack of {file.array.shape[0]} {file.holds}"
    raise refusal(path, "a tomogram, one volume", found, todo)


def is_volume_name(path: Path) -> bool:
    """Whether a file is called what volume files are called."""
    return _inner_suffix(path) in SUFFIXES


def _read_file(path: Path, head: bytes) -> VolumeFile:
    if head.startswith(NPY_MAGIC):
        return _read_npy(path)
    if head.startswith(TIFF_MAGICS):
        return read_tiff(path)
    if _is_mrc(path, head):
        return read_mrc(path)
    found = f"{len(head)} bytes that are none" if len(head) < HEADER_BYTES else "none of them"
    raise refusal(path, READ, found, "Convert it, or copy it again if it should be one.")


def _is_mrc(path: Path, head: bytes) -> bool:
    """By name as well: older programs wrote no MAP."""
    return bool(head) and (head[_MAP] == b"MAP" or _inner_suffix(path) in MRC_SUFFIXES)


def _inner_suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in COMPRESSED else path).suffix.lower()


def _read_folder(path: Path, dataset: str) -> VolumeFile:
    if not is_zarr(path):
        raise refusal(path, "a file, or a Zarr store", "a folder", "Give a file that is in it.")
    return read_zarr(path, dataset)


def _read_npy(path: Path) -> VolumeFile:
    with path.open("rb") as stream:
        head = stream.read(LONGEST_NPY_HEADER)
    with parsed(path, ".npy file"):
        shape, fortran, dtype, start = npy_header(head)
    if dtype.kind not in "fiu":
        todo = "Convert it, and save it with allow_pickle=False."
        raise refusal(path, "real numbers", f"{dtype}", todo)
    return volume_file(path, mapped(path, shape, dtype, start, fortran=fortran))
