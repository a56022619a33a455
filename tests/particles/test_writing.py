from pathlib import Path
from typing import Any

import dynamotable
import gemmi
import numpy as np
import pandas as pd
import pytest
import starfile

from tests.particles.lists_of_others import write_list
from tomodistill.errors import InputError
from tomodistill.particles.lists import Classified, ParticleList
from tomodistill.particles.reading import read_particles
from tomodistill.particles.writing import write_classified

LISTS = (
    "star/relion_3_star.star",
    "star/relion_4_star.star",
    "star/tomoman_relion_star.star",
    "relion5_jobs/Picks/job_picks/particles.star",
    "relion5_jobs/Class3D/job_class3d/run_it025_data.star",
    "relion5_jobs/Refine3D/job_refine/run_it050_data.star",
)
NUMBER, PROBABILITY = "rlnClassNumber", "rlnMaxValueProbDistribution"
PREVIOUS = {
    NUMBER: "tomodistillPreviousClassNumber",
    PROBABILITY: "tomodistillPreviousMaxValueProbDistribution",
}
OURS = {NUMBER, PROBABILITY, *PREVIOUS.values(), "tomodistillClassName", "tomodistillScore"}


def classified(count: int, *, scores: bool = True) -> Classified:
    """Of a ribosome, a cap/complex, unknown and not_classified in turn, the second left out."""
    numbers = np.array([1, 3, 4])[np.arange(count) % 3]
    return Classified(
        names=("ribosome", "cap/complex 2", "unknown", "not_classified"),
        numbers=numbers,
        probabilities=np.linspace(0.5, 1, count).astype(np.float32),
        scores=np.linspace(-3, 5, count) if scores else None,
    )


def cells(path: Path) -> dict[str, dict[str, list[str]]]:
    """Block -> column -> cells, as gemmi sees them."""
    blocks: dict[str, dict[str, list[str]]] = {}
    for block in gemmi.cif.read_file(str(path)):
        items: list[Any] = list(block)
        tags = [tag for item in items if item.loop for tag in item.loop.tags]
        pairs = {item.pair[0]: [item.pair[1]] for item in items if item.pair}
        blocks[block.name] = {**pairs, **{tag: list(block.find_loop(tag)) for tag in tags}}
    return blocks


@pytest.mark.parametrize("name", LISTS)
def test_a_list_comes_back_with_nothing_but_our_columns_added(
    shared: Path, tmp_path: Path, name: str
) -> None:
    path = shared / "fixtures" / name
    particles = read_particles(path)
    result = classified(len(particles))
    written = write_classified(particles, result, tmp_path)[0]
    before, after = cells(path), cells(written)
    assert list(before) == list(after)
    for block, table in before.items():
        if block.strip() != particles.block:
            assert table == after[block]
            assert list(table) == list(after[block])
    table, found = before[particles.block or " "], after[particles.block or " "]
    kept = [tag for tag in table if tag.removeprefix("_") not in OURS]
    assert [tag for tag in found if tag.removeprefix("_") not in OURS] == kept
    assert all(table[tag] == found[tag] for tag in kept)
    for column, previous in PREVIOUS.items():
        assert table.get(f"_{column}") == found.get(f"_{previous}")
    assert found[f"_{NUMBER}"] == [str(number) for number in result.numbers]


@pytest.mark.parametrize("name", LISTS)
def test_starfile_reads_the_same_values(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / "fixtures" / name
    particles = read_particles(path)
    result = classified(len(particles))
    written = write_classified(particles, result, tmp_path)[0]
    before = starfile.read(path, always_dict=True)
    after = starfile.read(written, always_dict=True)
    assert list(before) == list(after)
    table = after[particles.block]
    np.testing.assert_array_equal(table[NUMBER], result.numbers)
    np.testing.assert_allclose(table[PROBABILITY], result.probabilities, atol=1e-6)
    np.testing.assert_allclose(table["tomodistillScore"], result.scores, rtol=1e-5)
    assert list(table["tomodistillClassName"][:3]) == ["ribosome", "unknown", "not_classified"]
    kept = [column for column in before[particles.block] if column not in OURS]
    pd.testing.assert_frame_equal(before[particles.block][kept], table[kept])


def test_a_list_per_class_and_a_csv(shared: Path, tmp_path: Path) -> None:
    particles = read_particles(shared / "fixtures" / LISTS[4])
    written = write_classified(particles, classified(10, scores=False), tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in written] == [
        "run_it025_data.star",
        "run_it025_data.csv",
        "run_it025_data_classes/001_ribosome.star",
        "run_it025_data_classes/003_unknown.star",
        "run_it025_data_classes/004_not_classified.star",
    ]
    assert sorted(tmp_path.rglob("*.*")) == sorted(written)
    unknown = read_particles(written[3])
    assert list(unknown.ids) == list(particles.ids[1::3])
    assert unknown.stacks_of_images  # its other blocks came along
    table = pd.read_csv(written[1])
    assert list(table["rlnTomoParticleName"]) == list(particles.ids)
    assert "tomodistillScore" not in table
    assert table["tomodistillClassName"].value_counts().to_dict() == {
        "ribosome": 4,
        "unknown": 3,
        "not_classified": 3,
    }


def test_cells_that_cif_does_not_know_come_back_as_they_stood(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion5", turned="rlnA $HOME/b$ rlnB Größe/&#65; rlnC 'ü'")
    path.write_text(f"data_général\n\n_été 1\n\n{path.read_text()}")
    written = write_classified(read_particles(path), classified(1), tmp_path / "out")[0]
    blocks = read_particles(written).blocks
    assert list(blocks["général"]) == ["été"]
    row = blocks["particles"].iloc[0]
    assert list(row[["rlnA", "rlnB", "rlnC"]]) == ["$HOME/b$", "Größe/&#65;", "'ü'"]
    assert "$HOME/b$\tGröße/&#65;\t" in written.read_text()


def test_names_of_classes_are_safe_in_cells_and_files(tmp_path: Path) -> None:
    particles = read_particles(write_list(tmp_path, "relion5"))
    result = Classified(
        names=("data_/../x y", "not_classified"),
        numbers=np.array([1]),
        probabilities=np.ones(1, np.float32),
        scores=None,
    )
    written = write_classified(particles, result, tmp_path / "out")
    assert written[2].relative_to(tmp_path / "out") == Path("relion5_classes/001_data__.._x_y.star")
    again = read_particles(written[2])
    assert list(again.blocks["particles"]["tomodistillClassName"]) == ["'data_/../x y'"]


def test_a_list_classified_again_keeps_the_last_classes(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion4")
    for number in (1, 3):
        result = classified(1, scores=number == 1)
        result.numbers[:] = number
        path = write_classified(read_particles(path), result, tmp_path / str(number))[0]
    found = cells(path)["particles"]
    assert found["_rlnClassNumber"] == ["3"]
    assert found["_tomodistillPreviousClassNumber"] == ["1"]
    assert "_tomodistillScore" not in found  # which was of the first


def test_relions_version_stays(shared: Path, tmp_path: Path) -> None:
    particles = read_particles(shared / "fixtures" / LISTS[4])
    text = write_classified(particles, classified(10), tmp_path)[0].read_text()
    assert text.count("# version 50001\n\ndata_") == 3


def test_a_dynamo_table_comes_back_with_another_class_alone(tmp_path: Path) -> None:
    path = write_list(tmp_path, "dynamo")
    path.write_text(path.read_text().replace(" 10 ", " 10.00 "))
    whole, table, part = write_classified(read_particles(path), classified(1), tmp_path / "out")
    before, after = path.read_text().split(), whole.read_text().split()
    assert [n for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b] == [22]
    assert dynamotable.read(part)["class"].tolist() == [1]
    row = pd.read_csv(table).iloc[0]
    assert (row["tomodistillPreviousClass"], row["tomodistillClassName"]) == (0, "ribosome")


def test_boxes_without_a_list_are_listed(tmp_path: Path) -> None:
    names = np.array(["a.mrc", "b.mrc"], dtype=object)
    particles = ParticleList(
        path=Path("particles"),
        dialect="boxes",
        blocks={"particles": pd.DataFrame({"rlnImageName": names})},
        block="particles",
        ids=names,
    )
    written = write_classified(particles, classified(2), tmp_path)
    assert list(read_particles(written[0]).images) == ["a.mrc", "b.mrc"]  # type: ignore[arg-type]


def test_a_list_is_never_written_over_itself(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion5")
    before = path.read_text()
    with pytest.raises(InputError, match="a folder for results"):
        write_classified(read_particles(path), classified(1), tmp_path)
    assert path.read_text() == before
