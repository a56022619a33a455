from dataclasses import replace

import numpy as np
import pytest

from tomodistill.scales import SCALES
from tomodistill.simulation.simulate import simulate
from tomodistill.simulation.structures import load_structures
from tomodistill.tomograms.contrast import Vote, vote_contrast


def test_simulated_items_at_the_papers_snr_vote_dark_and_inverted_bright() -> None:
    config = replace(SCALES["paper"].simulation, classes="groel,p97,rubisco", items=24, none=0.0)
    structures = load_structures(
        config.structures, classes=config.classes, voxel_spacing=config.voxel_spacing
    )
    volumes = np.stack([item.volume for item in simulate(config, structures, workers=1)])
    vote = vote_contrast(volumes)
    assert vote.dark >= 20
    assert vote.verdict == "dark"
    assert vote_contrast(-volumes) == Vote(vote.bright, vote.dark)
    assert vote_contrast(-volumes).verdict == "bright"


@pytest.mark.parametrize(
    ("dark", "bright", "verdict"),
    [(0, 0, None), (8, 0, None), (9, 0, "dark"), (60, 40, None), (35, 65, "bright")],
)
def test_a_verdict_needs_three_standard_deviations(dark: int, bright: int, verdict) -> None:
    assert Vote(dark, bright).verdict == verdict


def test_noise_constants_and_nan_give_no_verdict(rng: np.random.Generator) -> None:
    volumes = rng.normal(size=(60, 12, 12, 12)).astype(np.float32)
    volumes[:5] = 3.0
    volumes[5:10] = np.nan
    vote = vote_contrast(volumes)
    assert vote.dark + vote.bright == 50
    assert vote.verdict is None
