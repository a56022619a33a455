"""Coarse-grained models of real complexes, written from their published shapes.

Each asymmetric unit is a handful of beads; the point group makes the complex of them. A bead is a
ball of protein (1.21 Å³ per Da: Harpaz, Gerstein & Chothia 1994, Structure 2:641) with an equal
share of the mass, so that mass, symmetry and outer size are the published ones, and cavities,
gaps and domains lie where the structure has them. Many are alike in size and mass: telling them
apart takes their shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.spatial.transform import Rotation

Array = np.ndarray[tuple[int, ...], np.dtype[np.floating]]
Bead = tuple[float, float, float]  # distance from the z axis (Å), azimuth (degrees), height (Å)

CUBIC_A3_PER_KDA = 1210.0  # volume of protein, Å³ per kDa
PADDING = 2  # voxels round the outermost bead, so that no rotation cuts it


@dataclass(frozen=True, kw_only=True)
class Complex:
    """One complex: main axis z; two-fold axes of a dihedral group at azimuth 0."""

    name: str
    pdb: str  # entry that shows it
    symmetry: str  # Schoenflies symbol, as Rotation.create_group takes it
    subunits: int  # chains
    mass_kda: float
    diameter: float  # Å, across the z axis, outermost (T, O, I: along x, y and z)
    height: float  # Å, along the z axis, outermost
    beads: tuple[Bead, ...]  # of one asymmetric unit
    source: str


def positions(entry: Complex) -> Array:
    """(group order x beads, 3) x, y, z in Å of every bead, centred on their mean."""
    rho, azimuth, height = np.array(entry.beads).T
    phi = np.radians(azimuth)
    unit = np.stack([rho * np.cos(phi), rho * np.sin(phi), height], axis=1)
    group = Rotation.create_group(entry.symmetry)
    everywhere: Array = np.concatenate([operation.apply(unit) for operation in group])
    centred: Array = everywhere - everywhere.mean(axis=0)
    return centred


def bead_radius(entry: Complex) -> float:
    """Å: radius of the ball of protein that holds one bead's share of the mass."""
    mass = entry.mass_kda / len(positions(entry))
    return float(np.cbrt(0.75 / np.pi * CUBIC_A3_PER_KDA * mass))


def density(entry: Complex, voxel_spacing: float) -> Array:
    """(d, d, d) float32, z, y, x, odd d: kDa in each voxel of `voxel_spacing` Å.

    A bead is the Gaussian with the ball's radius of gyration, blurred by half a voxel against
    aliasing. PADDING voxels surround everything farther in than three standard deviations.
    """
    beads = positions(entry)
    radius = bead_radius(entry)
    sigma = np.hypot(radius / np.sqrt(5), 0.5 * voxel_spacing)
    reach = np.linalg.norm(beads, axis=1).max() + 3 * sigma
    half = ceil(reach / voxel_spacing) + PADDING
    axis = voxel_spacing * np.arange(-half, half + 1)
    x, y, z = np.exp(-0.5 * ((axis - beads.T[..., None]) / sigma) ** 2)
    scale = voxel_spacing / (sigma * np.sqrt(2 * np.pi))
    total = np.einsum("nz,ny,nx->zyx", z, y, x, optimize=True)
    share = entry.mass_kda / len(beads)
    result: Array = (share * scale**3 * total).astype(np.float32)
    return result


# fmt: off
COMPLEXES: tuple[Complex, ...] = (
    Complex(
        name="apoferritin", pdb="1IER", symmetry="O", subunits=24, mass_kda=480,
        diameter=120, height=120, source="Granier et al. 1997, Acta Cryst. D53:580",
        beads=((47.9, 20.6, 2.9), (47.0, 30.4, 9.6), (45.3, 40.7, 15.8)),
    ),
    Complex(
        name="aspartate_carbamoyltransferase", pdb="6AT1", symmetry="D3", subunits=12,
        mass_kda=306, diameter=130, height=92, source="Stevens et al. 1990, Biochemistry 29:7691",
        beads=((20, 35, 26), (34, 58, 30), (33, 20, 22), (46, 8, 15), (53, -8, 9)),
    ),
    Complex(
        name="beta_galactosidase", pdb="1F4A", symmetry="D2", subunits=4, mass_kda=465,
        diameter=175, height=90, source="Juers et al. 2000, Protein Sci. 9:1685",
        beads=((25, 37, 24), (48, 60, -10), (50, 26, 26), (53, 32, -28), (68, 10, 2), (56, 50, 16),
               (70, 18, -24), (24, 62, -27)),
    ),
    Complex(
        name="clpp", pdb="1YG6", symmetry="D7", subunits=14, mass_kda=300,
        diameter=90, height=90, source="Bewley et al. 2006, J. Struct. Biol. 153:113",
        beads=((33, 0, 30), (24, 20, 33), (33, 14, 9)),
    ),
    Complex(
        name="dps", pdb="1DPS", symmetry="T", subunits=12, mass_kda=224,
        diameter=90, height=90, source="Grant et al. 1998, Nat. Struct. Biol. 5:294",
        beads=((30.5, 17.6, 5.7), (30.2, 45.0, 7.0)),
    ),
    Complex(
        name="glutamate_dehydrogenase", pdb="1HWZ", symmetry="D3", subunits=6, mass_kda=336,
        diameter=105, height=130, source="Peterson & Smith 1999, Structure 7:769",
        beads=((22, 0, 13), (36, 14, 22), (30, 40, 34), (26, 4, 40), (14, 24, 54)),
    ),
    Complex(
        name="glutamine_synthetase", pdb="2GLS", symmetry="D6", subunits=12, mass_kda=622,
        diameter=143, height=103, source="Yamashita et al. 1989, J. Biol. Chem. 264:17681",
        beads=((33, 0, 17), (46, 20, 12), (57, 2, 22), (46, -14, 30), (36, 12, 37)),
    ),
    Complex(
        name="groel", pdb="1OEL", symmetry="D7", subunits=14, mass_kda=801,
        diameter=137, height=146, source="Braig et al. 1994, Nature 371:578",
        beads=((34, 0, 14), (50, 10, 22), (48, -14, 20), (54, 6, 40), (40, -6, 57), (54, 12, 59)),
    ),
    Complex(
        name="gtp_cyclohydrolase", pdb="1GTP", symmetry="D5", subunits=10, mass_kda=248,
        diameter=100, height=65, source="Nar et al. 1995, Structure 3:459",
        beads=((22, 0, 14), (35, 20, 19), (36, -10, 10)),
    ),
    Complex(
        name="hemocyanin", pdb="1HCY", symmetry="D3", subunits=6, mass_kda=450,
        diameter=120, height=95, source="Volbeda & Hol 1989, J. Mol. Biol. 209:249",
        beads=((20, 30, 16), (42, 44, 20), (40, 12, 16), (36, 36, 32), (44, 62, 8), (20, 60, 32)),
    ),
    Complex(
        name="leucine_aminopeptidase", pdb="1LAM", symmetry="D3", subunits=6, mass_kda=324,
        diameter=132, height=88, source="Burley et al. 1990, PNAS 87:6878",
        beads=((16, 0, 22), (34, 14, 28), (34, -16, 16), (53, 0, 22), (28, 40, 14)),
    ),
    Complex(
        name="lumazine_synthase", pdb="1HQK", symmetry="I", subunits=60, mass_kda=1000,
        diameter=154, height=154, source="Zhang et al. 2001, J. Mol. Biol. 306:1099",
        beads=((45.0, -4.1, 49.0), (35.2, 7.5, 41.7)),
    ),
    Complex(
        name="ornithine_carbamoyltransferase", pdb="1A1S", symmetry="T", subunits=12, mass_kda=420,
        diameter=125, height=125, source="Villeret et al. 1998, PNAS 95:2801",
        beads=((47.5, 52.0, 26.0), (31.0, 62.0, 41.0), (36.0, 26.0, 45.0)),
    ),
    Complex(
        name="p97", pdb="3CF3", symmetry="C6", subunits=6, mass_kda=540,
        diameter=162, height=80, source="Davies et al. 2008, Structure 16:715",
        beads=((32, 0, -26), (46, 20, -30), (48, -8, -22), (30, 10, 4), (46, 26, 6), (48, 0, 8),
               (60, 14, 18), (66, 24, 12)),
    ),
    Complex(
        name="pcna", pdb="1AXC", symmetry="C3", subunits=3, mass_kda=86,
        diameter=88, height=35, source="Gulbis et al. 1996, Cell 87:297",
        beads=((27, 0, -3), (29, 30, 3), (28, 60, -3), (29, 90, 3)),
    ),
    Complex(
        name="peroxiredoxin", pdb="1QMV", symmetry="D5", subunits=10, mass_kda=220,
        diameter=130, height=45, source="Schröder et al. 2000, Structure 8:605",
        beads=((43, 8, 8), (52, 17, 7), (47, 30, -6)),
    ),
    Complex(
        name="proteasome_20s", pdb="1PMA", symmetry="D7", subunits=28, mass_kda=690,
        diameter=113, height=148, source="Löwe et al. 1995, Science 268:533",
        beads=((36, 0, 10), (41, 20, 24), (41, 8, 46), (28, 20, 59)),
    ),
    Complex(
        name="proteasome_activator_pa28", pdb="1AVO", symmetry="C7", subunits=7, mass_kda=200,
        diameter=90, height=90, source="Knowlton et al. 1997, Nature 390:639",
        beads=((30, 0, -33), (29, 8, -12), (27, 10, 9), (33, 24, -24), (24, 16, 32)),
    ),
    Complex(
        name="pyruvate_dehydrogenase_core", pdb="1EAA", symmetry="O", subunits=24, mass_kda=630,
        diameter=125, height=125, source="Mattevi et al. 1992, Science 255:1544",
        beads=((67.0, 45.0, 26.5), (65.1, 47.5, 9.0), (48.1, 66.1, 19.5)),
    ),
    Complex(
        name="rubisco", pdb="1BXN", symmetry="D4", subunits=16, mass_kda=540,
        diameter=123, height=110, source="Hansen et al. 1999, J. Mol. Biol. 288:609",
        beads=((22, -12, 21), (48, 20, -10), (36, 20, 9), (40, 5, 34), (25, 37, 40)),
    ),
    Complex(
        name="small_heat_shock_protein", pdb="1SHS", symmetry="O", subunits=24, mass_kda=395,
        diameter=120, height=120, source="Kim et al. 1998, Nature 394:595",
        beads=((47.0, 35.1, 0.0), (45.8, 17.5, 4.3)),
    ),
    Complex(
        name="thermosome", pdb="1A6D", symmetry="D8", subunits=16, mass_kda=933,
        diameter=164, height=158, source="Ditzel et al. 1998, Cell 93:125",
        beads=((42, 0, 14), (58, 8, 16), (67, -4, 32), (56, 8, 50), (38, 0, 62), (18, 14, 64)),
    ),
    Complex(
        name="urease", pdb="1E9Z", symmetry="T", subunits=24, mass_kda=1060,
        diameter=160, height=160, source="Ha et al. 2001, Nat. Struct. Biol. 8:505",
        beads=((42.3, 45.0, 50.8), (30.7, 16.7, 57.4), (29.8, 76.6, 59.0), (21.7, 45.0, 43.2),
               (7.1, 45.0, 60.5), (33.9, 33.7, 28.2)),
    ),
)
