"""Further complexes of the catalogue, of sizes like those of the paper's group.

Symmetry, chains, mass and size are recalled from the publications cited, not read in them again.
"""

from tomodistill.simulation.complexes import Complex

# fmt: off
FURTHER: tuple[Complex, ...] = (
    Complex(
        name="beta_galactosidase", pdb="1F4A", symmetry="D2", subunits=4, mass_kda=465,
        diameter=175, height=90, source="Juers et al. 2000, Protein Sci. 9:1685",
        beads=((25, 37, 24), (48, 60, -10), (50, 26, 26), (53, 32, -28), (68, 10, 2), (56, 50, 16),
               (70, 18, -24), (24, 62, -27)),
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
        name="lumazine_synthase", pdb="1HQK", symmetry="I", subunits=60, mass_kda=1000,
        diameter=154, height=154, source="Zhang et al. 2001, J. Mol. Biol. 306:1099",
        beads=((45.0, -4.1, 49.0), (35.2, 7.5, 41.7)),
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
