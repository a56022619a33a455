import re

import pytest

from tomodistill.simulation.catalogue import COMPLEXES, PAPER_GROUP
from tomodistill.simulation.complexes import PAPER_COMPLEXES

GROUP = (
    "1A1S 1BXR 1EQR 1F1B 1FNT 1GYT 1KP8 1LB3 1QO1 1VPX 1VRG 1W6T 1YG6 2AWB 2BO9 2BYU 2GHO 2GLS "
    "2H12 2IDB 2REC 3DY4"
)
ORIGINS = ("read", "sequence", "map", "recalled", "estimated")
every = pytest.mark.parametrize("entry", COMPLEXES, ids=lambda entry: entry.name)


def test_the_papers_group_is_all_there():
    assert sorted(entry.pdb for entry in PAPER_COMPLEXES) == GROUP.split()
    assert len(PAPER_GROUP) == 22


def test_group_is_in_the_order_of_the_catalogue():
    names = [entry.name for entry in COMPLEXES]
    assert list(PAPER_GROUP) == [name for name in names if name in PAPER_GROUP]


def test_no_entry_twice():
    assert len({entry.pdb for entry in COMPLEXES}) == len(COMPLEXES)


@every
def test_each_cites_its_entry_and_publication(entry):
    assert re.fullmatch(r"[1-9][A-Z0-9]{3}", entry.pdb)
    assert re.search(r" (19|20)\d\d, ", entry.source)


@every
def test_basis_tells_of_every_number_where_it_comes_from(entry):
    told = " ".join(
        part for part in entry.basis.split("; ") if any(origin in part for origin in ORIGINS)
    )
    if not told.startswith("all "):
        assert all(number in told for number in ("symmetry", "chains", "mass", "size"))


# kDa of the chains, times their number; the sequences' lengths and 110 Da a residue tell a slip.
@pytest.mark.parametrize(
    ("name", "residues"),
    [
        ("acr1", 12 * 144),
        ("aspartate_carbamoyltransferase", 6 * (311 + 153)),
        ("aspartyl_trna_synthetase", 2 * 590),
        ("carbamoyl_phosphate_synthetase", 4 * (1073 + 382)),
        ("carboxypeptidase_a4_latexin", 308 + 222),
        ("citrate_synthase", 6 * 436),
        ("enolase", 8 * 434),
        ("glutamine_synthetase", 12 * 469),
        ("groel", 14 * 548),
        ("leucine_aminopeptidase", 6 * 503),
        ("ornithine_carbamoyltransferase", 12 * 315),
        ("propionyl_coa_carboxylase", 6 * 515),
        ("reca", 6 * 353),
        ("transaldolase", 10 * 218),
        ("ubid_decarboxylase", 6 * 497),
    ],
)
def test_mass_is_that_of_the_chains(name, residues):
    mass = next(entry.mass_kda for entry in COMPLEXES if entry.name == name)
    assert mass / residues == pytest.approx(0.110, rel=0.06)
