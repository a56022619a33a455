"""Files of structures made for tests: maps by mrcfile or byte by byte, models by gemmi."""

import gzip
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

MODES = {
    "int8": 0,
    "int16": 1,
    "float32": 2,
    "complex64": 4,
    "uint8": 0,
    "uint16": 6,
    "float16": 12,
}


def blob(shape=(20, 22, 24), centre=(8, 12, 10), sigma=2.0):
    """A Gaussian in a grid; all z, y, x."""
    grid = np.indices(shape).T - np.array(centre)
    return np.exp(-0.5 * (grid**2).sum(-1) / sigma**2).T


def lopsided():
    """Of (20, 22, 24) voxels: no two axes, and no two directions of one, are alike."""
    arms = {(7, 8, 9): 1.0, (13, 8, 9): 0.7, (7, 15, 9): 0.5, (7, 8, 17): 0.3}
    return sum(weight * blob(centre=centre) for centre, weight in arms.items())


def write_map(path: Path, data, spacing=10.0):
    """By mrcfile, which shares no code with the reader but the layout of the header."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data.astype(np.float32))
        file.voxel_size = spacing
    return path


def map_bytes(data, *, order="<", spacing=10.0, extended=b"", **fields):
    """A file of (sections, rows, columns) data; `fields` of its header are set last."""
    header = np.zeros((), HEADER_DTYPE.newbyteorder(order))
    for axis, edge in zip("zyx", data.shape, strict=True):
        header[f"n{axis}"] = header[f"m{axis}"] = edge
        header["cella"][axis] = edge * spacing
    header["cellb"] = (90, 90, 90)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["mode"], header["ispg"] = MODES[data.dtype.name], 1
    header["nsymbt"] = len(extended)
    header["map"], header["machst"] = b"MAP ", [68, 68, 0, 0] if order == "<" else [17, 17, 0, 0]
    for name, value in fields.items():
        header[name] = value
    return header.tobytes() + extended + data.astype(data.dtype.newbyteorder(order)).tobytes()


def pdb_line(serial, name, element, x, y, z, *, occupancy=1.0, residue="ALA", altloc=" "):
    return (
        f"ATOM  {serial:5d}  {name:<3s}{altloc}{residue} A{serial:4d}    {x:8.3f}{y:8.3f}{z:8.3f}"
        f"{occupancy:6.2f}  0.00          {element:>2s}\n"
    )


def row(start=0, y=0.0):
    """Lines of ten carbons along x."""
    return [pdb_line(start + i + 1, "CA", "C", 4.0 * i, y, 0) for i in range(10)]


def dimer(entry="1ABC", assemblies=("1", "2")):
    """The row, which assembly 1 repeats 60 Å along y; assembly 2 does not."""
    structure = gemmi.read_pdb_string("".join([*row(), "END\n"]))
    structure.name, structure.info["_entry.id"] = entry, entry
    structure.setup_entities()
    away = gemmi.Transform()
    away.vec.fromlist([0, 60, 0])
    for name in assemblies:
        assembly, generator = gemmi.Assembly(name), gemmi.Assembly.Gen()
        generator.chains = ["A"]
        for move in (gemmi.Transform(), away) if name == "1" else (gemmi.Transform(),):
            operator = gemmi.Assembly.Operator()
            operator.transform = move
            generator.operators.append(operator)
        assembly.generators.append(generator)
        structure.assemblies.append(assembly)
    return structure


def mmcif(structure) -> bytes:
    return structure.make_mmcif_document().as_string().encode()


GOOD = gzip.compress(mmcif(dimer()), mtime=0)  # what the archive sends of an entry
