"""The 22 complexes of the paper's group as coarse-grained models: the data of `catalogue`.

`basis` says where symmetry, chains, mass and size come from:

- read: in the abstract of the publication, in the entry's page, or in those of what is named;
- sequence: chains times the mass of the chain, from its sequence, which is recalled;
- map: of the entry named, the same fold: beads fitted to it, size of its contour at half density;
- recalled: from general knowledge of the structure or of what is named, not read again;
- estimated: from mass, symmetry and domains, for want of a text or map that gives it.

Where no map is named, beads are placed by hand: at the domains as recalled.
"""

from __future__ import annotations

from dataclasses import dataclass

Bead = tuple[float, float, float]  # distance from the z axis (Å), azimuth (degrees), height (Å)


@dataclass(frozen=True, kw_only=True)
class Complex:
    """One complex: main axis z; two-fold axes of a dihedral group at azimuth 0."""

    name: str
    pdb: str  # entry that shows it
    symmetry: str  # Schoenflies symbol, as Rotation.create_group takes it
    subunits: int  # chains
    mass_kda: float
    diameter: float  # Å, outermost across the z axis (T, O, I: along x; C1: the widest)
    height: float  # Å, along the z axis, outermost
    beads: tuple[Bead, ...]  # of one asymmetric unit
    source: str
    basis: str = "all recalled"


def _ring(fold: int, *beads: Bead) -> tuple[Bead, ...]:
    """The beads, `fold` times round z: of a part that has more symmetry than its complex."""
    turns = [360 * k / fold for k in range(fold)]
    return tuple((rho, phi + turn, z) for turn in turns for rho, phi, z in beads)


# fmt: off
PAPER_COMPLEXES: tuple[Complex, ...] = (
    Complex(
        name="acr1", pdb="2BYU", symmetry="T", subunits=12, mass_kda=195,
        diameter=100, height=100, source="Kennaway et al. 2005, J. Biol. Chem. 280:33419",
        basis="symmetry, chains recalled; mass sequence; size estimated",
        # Hollow: six dimers on the edges of a tetrahedron.
        beads=((11, 45, 37), (31, 45, 31)),
    ),
    Complex(
        name="apoferritin", pdb="1LB3", symmetry="O", subunits=24, mass_kda=497,
        diameter=125, height=125, source="Granier et al. 2003, J. Biol. Inorg. Chem. 8:105",
        basis="symmetry, size map 6PXM; chains recalled; mass sequence",
        beads=((36.3, 55.2, 39.5), (30.0, 9.9, 41.5), (15.4, 53.6, 47.3)),
    ),
    Complex(
        name="aspartate_carbamoyltransferase", pdb="1F1B", symmetry="D3", subunits=12,
        mass_kda=310, diameter=130, height=103, source="Jin et al. 2000, Biochemistry 39:8058",
        basis="symmetry, chains, mass read; size recalled (T state: 92 Å high), R + 11 Å read",
        beads=((20, 38, 31), (34, 61, 36), (33, 23, 28), (47, 10, 19), (52, -10, 10)),
    ),
    Complex(
        name="aspartyl_trna_synthetase", pdb="1EQR", symmetry="C2", subunits=2, mass_kda=132,
        diameter=135, height=80, source="Rees et al. 2000, J. Mol. Biol. 299:1157",
        basis="chains read; symmetry recalled; mass sequence; size estimated",
        # Catalytic domains on the two-fold axis, insertion domains above, anticodon domains below.
        beads=((55, 13, -26), (38, 3, -8), (15, 32, 6), (37, 13, 18), (24, -36, 20), (56, -4, 24)),
    ),
    Complex(
        name="atp_synthase_f1c10", pdb="1QO1", symmetry="C1", subunits=18, mass_kda=441,
        diameter=110, height=185, source="Stock et al. 1999, Science 286:1700",
        basis="symmetry (three αβ pairs on ten c), c10, γ, δ read; chains, size recalled; "
              "mass sequence",
        beads=(
            # α3β3, alike in fold; the stalk of γ and δ; c10
            *_ring(6, (27, -14, 90), (39, 8, 87), (26, 6, 70), (44, -6, 68), (42, 22, 67),
                   (31, 27, 60), (44, -14, 51), (28, -6, 54), (45, 12, 47), (30, 18, 42),
                   (43, -4, 31), (29, 4, 33), (43, 19, 29), (30, -18, 37)),
            (3, 0, 70), (4, 180, 52), (4, 60, 34), (5, 240, 17), (7, 30, 1), (14, 200, -6),
            (15, 80, -9), (16, 320, -10), (11, 140, -21), (14, 20, -24), (20, 250, -20),
            (22, 330, -22),
            *_ring(10, (23, 0, -45), (23, 8, -68)),
        ),
    ),
    Complex(
        name="carbamoyl_phosphate_synthetase", pdb="1BXR", symmetry="D2", subunits=8, mass_kda=637,
        diameter=175, height=90, source="Thoden et al. 1999, Biochemistry 38:2347",
        basis="mass of an αβ pair read; symmetry, chains recalled; size estimated",
        # Small subunits farthest out, the two like halves of the large ones towards the centre.
        beads=((59, 33, -8), (23, 70, -8), (55, 57, 2), (74, 43, 12), (76, 23, 16), (23, 25, 18),
               (47, 21, 26), (41, 67, 26)),
    ),
    Complex(
        name="carboxypeptidase_a4_latexin", pdb="2BO9", symmetry="C1", subunits=2, mass_kda=60,
        diameter=60, height=88, source="Pallarès et al. 2005, PNAS 102:3978",
        basis="symmetry, chains read; mass sequence; size estimated",
        # The globular enzyme below; latexin's two lobes above, either side of the active site.
        beads=((14, -146, -30), (14, -45, -28), (13, 90, -28), (12, 145, -10), (14, 30, -10),
               (14, -82, -10), (16, 162, 14), (16, -18, 14), (16, -15, 32), (17, 152, 33)),
    ),
    Complex(
        name="citrate_synthase", pdb="2H12", symmetry="D3", subunits=6, mass_kda=291,
        diameter=135, height=75, source="Francois et al. 2006, Biochemistry 45:13487",
        basis="chains read; symmetry recalled; mass sequence; size estimated",
        # Three dimers, a gap between them on the three-fold axis.
        beads=((38, 4, 13), (54, -6, 22), (50, 28, 16), (28, 40, 22)),
    ),
    Complex(
        name="clpp", pdb="1YG6", symmetry="D7", subunits=14, mass_kda=300,
        diameter=90, height=90, source="Bewley et al. 2006, J. Struct. Biol. 153:113",
        beads=((33, 0, 30), (24, 20, 33), (33, 14, 9)),
    ),
    Complex(
        name="enolase", pdb="1W6T", symmetry="D4", subunits=8, mass_kda=377,
        diameter=150, height=70, source="Ehinger et al. 2004, J. Mol. Biol. 343:997",
        basis="symmetry, chains (tetramer of dimers) read; mass sequence; size estimated",
        beads=((57, 2, 24), (62, 20, 12), (43, 22, 16), (40, -8, 16)),
    ),
    Complex(
        name="glutamine_synthetase", pdb="2GLS", symmetry="D6", subunits=12, mass_kda=622,
        diameter=143, height=103, source="Yamashita et al. 1989, J. Biol. Chem. 264:17681",
        basis="symmetry, chains read; mass, size recalled",
        beads=((33, 0, 17), (46, 20, 12), (57, 2, 22), (46, -14, 30), (36, 12, 37)),
    ),
    Complex(
        name="groel", pdb="1KP8", symmetry="D7", subunits=14, mass_kda=801,
        diameter=137, height=146, source="Wang & Boisvert 2003, J. Mol. Biol. 327:843",
        basis="symmetry, chains read (1OEL); mass sequence; size recalled (1OEL)",
        beads=((34, 0, 14), (50, 10, 22), (48, -14, 20), (54, 6, 40), (40, -6, 57), (54, 12, 59)),
    ),
    Complex(
        name="leucine_aminopeptidase", pdb="1GYT", symmetry="D3", subunits=6, mass_kda=329,
        diameter=132, height=88, source="Sträter et al. 1999, EMBO J. 18:4513",
        basis="symmetry, chains read; mass sequence; size recalled (the bovine enzyme, 1LAM)",
        # The groove for DNA crosses the two-fold axes.
        beads=((16, 0, 22), (34, 14, 28), (34, -16, 16), (53, 7, 22), (28, 40, 14)),
    ),
    Complex(
        name="ornithine_carbamoyltransferase", pdb="1A1S", symmetry="T", subunits=12, mass_kda=420,
        diameter=125, height=125, source="Villeret et al. 1998, PNAS 95:2801",
        beads=((47.5, 52.0, 26.0), (31.0, 62.0, 41.0), (36.0, 26.0, 45.0)),
    ),
    Complex(
        name="propionyl_coa_carboxylase", pdb="1VRG", symmetry="D3", subunits=6, mass_kda=340,
        diameter=120, height=85,
        source="Joint Center for Structural Genomics 2005, PDB entry without publication",
        basis="symmetry, chains read (β6, a short cylinder with a hole along its axis: "
              "Huang et al. 2010, Nature 466:1001); mass sequence; size estimated",
        beads=((26, 4, 28), (45, 18, 25), (26, 62, 21), (46, 64, 13)),
    ),
    Complex(
        # D7 is the symmetry of the fold; the seven α and the seven β chains of yeast differ: C2.
        name="proteasome_20s", pdb="3DY4", symmetry="D7", subunits=28, mass_kda=728,
        diameter=115, height=150, source="Groll et al. 2008, J. Am. Chem. Soc. 130:14981",
        basis="chains read; symmetry, size map 3J9I; mass sequence",
        beads=((45, 9, 10), (30, 36, 17), (34, 3, 38), (45, 22, 57), (24, 40, 60)),
    ),
    Complex(
        # As above; a heptamer of PA26 on either end.
        name="proteasome_pa26", pdb="1FNT", symmetry="D7", subunits=42, mass_kda=1085,
        diameter=115, height=285, source="Whitby et al. 2000, Nature 408:115",
        basis="chains recalled; symmetry, size map 3IPM; mass sequence",
        beads=((44, 8, 10), (30, 35, 17), (34, 1, 38), (45, 26, 56), (24, 2, 60), (29, 28, 86),
               (28, 7, 106), (24, 39, 128)),
    ),
    Complex(
        name="reca", pdb="2REC", symmetry="C6", subunits=6, mass_kda=228,
        diameter=120, height=65, source="Yu & Egelman 1997, Nat. Struct. Biol. 4:101",
        basis="symmetry, chains recalled; mass sequence; size estimated",
        # A ring, the lobes of the C-terminal domains on one of its faces.
        beads=((28, 0, -6), (44, 18, -12), (44, -8, 8), (47, 14, 26)),
    ),
    Complex(
        # Of RNA and protein: as denser RNA is taken for protein, its beads are a little too wide.
        name="ribosome_50s", pdb="2AWB", symmetry="C1", subunits=31, mass_kda=1450,
        diameter=200, height=232, source="Schuwirth et al. 2005, Science 310:827",
        basis="chains, mass recalled; symmetry, size map 4V4R (50S of another species)",
        beads=(
            (32, 118, -96), (20, 6, -87), (36, 177, -75), (37, 52, -65), (10, 127, -62),
            (77, -180, -57), (32, -26, -54), (51, -64, -44), (37, -163, -38), (57, 25, -37),
            (49, -113, -37), (73, -157, -36), (61, -11, -33), (19, 36, -32), (21, -85, -30),
            (57, 58, -30), (34, -30, -14), (39, 89, -13), (45, -77, -12), (10, -163, -11),
            (61, -158, -8), (36, 27, -8), (69, 13, -2), (76, 38, -1), (44, 127, 3), (56, -125, 9),
            (54, -14, 9), (57, 56, 10), (30, -166, 13), (25, -76, 16), (16, 90, 18), (52, -52, 18),
            (48, 85, 24), (37, 20, 25), (63, -94, 26), (58, -156, 29), (44, 167, 42), (64, 45, 43),
            (50, 123, 44), (36, -118, 45), (57, -63, 47), (2, 117, 47), (32, -39, 61),
            (35, 22, 61), (39, 84, 63), (50, -155, 64), (64, 172, 65), (86, 169, 101),
        ),
    ),
    Complex(
        name="rna_polymerase", pdb="2GHO", symmetry="C1", subunits=4, mass_kda=333,
        diameter=115, height=150, source="Kuznedelov et al. 2006, J. Mol. Biol. 359:110",
        basis="symmetry (α2ββ′) read; chains (neither ω nor the non-conserved domain of β′) "
              "recalled; mass sequence; size recalled (Zhang et al. 1999, Cell 98:811)",
        beads=(
            # the two α; what joins the pincers
            (15, -164, -62), (13, 27, -62), (28, 159, -45), (27, -17, -45), (15, 106, -40),
            (18, -77, -40), (26, -148, -26), (25, 29, -26), (34, 87, -22), (34, -93, -22),
            (0, 0, -20), (28, 129, -14), (28, -51, -14),
            # the pincers, β' and β, a channel of 27 Å between them
            (34, 173, -6), (40, -143, -4), (48, 142, 0), (43, 161, 18), (39, -161, 18),
            (51, 132, 22), (33, 177, 40), (40, 139, 43), (28, 154, 61),
            (34, -3, -6), (42, 35, -4), (47, -40, 2), (51, 45, 16), (42, 14, 18), (39, -24, 22),
            (36, 13, 41), (32, -18, 58),
        ),
    ),
    Complex(
        name="transaldolase", pdb="1VPX", symmetry="D5", subunits=10, mass_kda=241,
        diameter=105, height=75,
        source="Joint Center for Structural Genomics 2004, PDB entry without publication",
        basis="symmetry, chains recalled; mass sequence; size estimated",
        beads=((24, 14, 11), (41, 22, 18), (30, 4, 28)),
    ),
    Complex(
        name="ubid_decarboxylase", pdb="2IDB", symmetry="D3", subunits=6, mass_kda=334,
        diameter=125, height=105,
        source="Northeast Structural Genomics Consortium 2006, PDB entry without publication",
        basis="chains read (Jacewicz et al. 2013, PLoS ONE 8:e63161); symmetry recalled; "
              "mass sequence; size estimated",
        beads=((24, 60, 14), (46, 0, 16), (46, 32, 30), (34, 8, 38)),
    ),
)
