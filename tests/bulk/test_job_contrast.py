"""Whether the particles of a job are dark: as files say, else by vote of all shards."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from tests.versions import BOX, SPACING
from tomodistill.bulk.config import BulkConfig
from tomodistill.bulk.job import Facts
from tomodistill.bulk.plan import plan
from tomodistill.errors import InputError
from tomodistill.subtomograms.mrc_header import contrast_label


def write_boxes(folder: Path, *stated: str, bright: float = 3.0, edges: tuple[int, ...] = (BOX,)):
    """Twelve boxes of noise with a ball in the middle; what the header of each states."""
    rng = np.random.default_rng(5)
    for number in range(12):
        edge = edges[number % len(edges)]
        z, y, x = np.indices((edge, edge, edge)) - edge // 2
        box = rng.normal(size=(edge, edge, edge)) + bright * (z**2 + y**2 + x**2 < 36)
        with mrcfile.new(folder / f"{number:02d}.mrc", data=box.astype(np.float32)) as file:
            file.voxel_size = SPACING
            if word := stated[number % len(stated)] if stated else "":
                file.add_label(contrast_label(word))


def decided(folder: Path, version: Path, contrast: str = "auto") -> Facts:
    config = BulkConfig(particles=str(folder / "*.mrc"), contrast=contrast, shard=5)
    return plan(folder / "job", config, version=version, model="one").facts


def test_what_all_headers_state_counts(tmp_path: Path, version: Path) -> None:
    write_boxes(tmp_path, "dark", bright=3.0)  # whatever a vote would say
    facts = decided(tmp_path, version)
    assert (facts.contrast, facts.contrast_from) == ("dark", "the files' headers")


def test_headers_that_disagree_need_a_word(tmp_path: Path, version: Path) -> None:
    write_boxes(tmp_path, "dark", "bright")
    with pytest.raises(InputError, match="dark in some headers and bright in others"):
        decided(tmp_path, version)
    facts = decided(tmp_path, version, contrast="bright")
    assert (facts.contrast, facts.contrast_from) == ("bright", "the flag")


@pytest.mark.parametrize(
    ("stated", "bright", "vote"),
    [([], 3.0, "bright"), ([], -3.0, "dark"), (["dark", ""], 3.0, "bright")],
)
def test_boxes_vote_where_some_headers_state_nothing(
    tmp_path: Path, version: Path, stated: list[str], bright: float, vote: str
) -> None:
    write_boxes(tmp_path, *stated, bright=bright)
    facts = decided(tmp_path, version)
    assert facts.contrast == vote
    counts = {"dark": "12 of 12 boxes dark, 0 bright", "bright": "0 of 12 boxes dark, 12 bright"}
    assert facts.contrast_from == f"a vote: {counts[vote]}"


def test_boxes_of_several_edges_vote_together(tmp_path: Path, version: Path) -> None:
    write_boxes(tmp_path, edges=(BOX, BOX + 2))
    facts = decided(tmp_path, version)
    assert facts.contrast_from == "a vote: 0 of 12 boxes dark, 12 bright"
    assert facts.edge == BOX + 2


def test_no_clear_vote_is_told(tmp_path: Path, version: Path) -> None:
    write_boxes(tmp_path, bright=0.0)
    facts = decided(tmp_path, version)
    assert (facts.contrast, facts.contrast_from) == ("dark", "the model")
    assert "no clear vote" in facts.warnings[0]
