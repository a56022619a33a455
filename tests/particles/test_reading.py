from pathlib import Path

import numpy as np
import pytest

from tests.particles.lists_of_others import write_list
from tomodistill.errors import InputError
from tomodistill.particles.reading import read_particles

JOBS = "relion5_jobs"
RELION_5 = f"{JOBS}/Class3D/job_class3d/run_it025_data.star"


@pytest.mark.parametrize(
    ("name", "dialect", "count", "first_id", "tomogram", "spacing", "width", "offset"),
    [
        (
            "star/relion_3_star.star",
            "RELION 3 or Warp",
            6,
            "/path/to/image/image_1_0.mrc",
            "tomo_1.tomostar",
            1.7005,
            1.7005,
            1.7005,
        ),
        ("star/relion_4_star.star", "RELION 4", 6, "TS_001/91", "TS_001", 0.5, 1.0, 1.0),
        (
            "star/tomoman_relion_star.star",
            "RELION 3 or Warp",
            6,
            "grid_1_lamella1_pos1/1",
            "grid_1_lamella1_pos1",
            1.96,
            1.96,
            1.96,
        ),
    ],
)
def test_corner_coordinates_as_others_wrote_them(
    shared: Path,
    name: str,
    dialect: str,
    count: int,
    first_id: str,
    tomogram: str,
    spacing: float,
    width: float,
    offset: float,
) -> None:
    particles = read_particles(shared / "fixtures" / name)
    assert (particles.dialect, len(particles)) == (dialect, count)
    assert particles.tomograms is not None
    assert (particles.ids[0], particles.tomograms[0]) == (first_id, tomogram)
    positions = particles.positions
    assert positions is not None
    np.testing.assert_array_equal(positions.values[0], [12, 8, 4])
    np.testing.assert_array_equal(positions.offsets[0], [-3.2, -2.4, -1.2])
    np.testing.assert_allclose(positions.spacing, spacing)
    np.testing.assert_allclose(positions.offset_spacing, offset)
    assert particles.image_spacing is not None
    np.testing.assert_allclose(particles.image_spacing, width)
    assert particles.angles is not None
    np.testing.assert_array_equal(particles.angles[0], [90, 45, 180])


def test_relion_5_as_it_wrote_it(shared: Path) -> None:
    particles = read_particles(shared / "fixtures" / RELION_5)
    assert (particles.dialect, len(particles), particles.ids[-1]) == ("RELION 5", 10, "TS_02/11")
    assert particles.positions is not None
    assert particles.positions.origin == "centre"
    np.testing.assert_array_equal(
        particles.positions.values[0], [138.065739, -879.58025, 754.828605]
    )
    assert particles.classes is not None
    assert list(particles.classes[:5]) == ["1", "1", "2", "2", "3"]
    assert particles.stacks_of_images


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("Picks/job_picks/optimisation_set.star", 5),
        ("Class3D/job_class3d/run_it025_optimisation_set.star", 10),
    ],
)
def test_an_optimisation_set_leads_to_its_particles(shared: Path, name: str, count: int) -> None:
    assert len(read_particles(shared / "fixtures" / JOBS / name)) == count


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("star/stopgap_star.star", "motive list of STOPGAP"),
        (f"{JOBS}/Refine3D/job_refine/run_it040_optimisation_set.star", "run_it040_data.star, in"),
        (f"{JOBS}/Picks/job_picks/job.star", "rlnTomoName or .* found rlnJobTypeLabel"),
        (f"{JOBS}/Class3D/job_class3d/job.star", "found rlnJobTypeLabel"),  # has a $ in it
        ("nothing.star", "no file"),
    ],
)
def test_what_lists_no_particles_is_named(shared: Path, name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_particles(shared / "fixtures" / name)


@pytest.mark.parametrize(
    ("suffix", "says"),
    [
        (".em", "TOM"),
        (".lst", "EMAN2"),
        (".mod", "IMOD"),
        (".csv", "PEET"),
        (".h5", "another kind"),
    ],
)
def test_foreign_lists_are_refused_by_name(tmp_path: Path, suffix: str, says: str) -> None:
    path = tmp_path / f"list{suffix}"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"{says}.*cryoCAT"):
        read_particles(path)


HEAD = "data_particles\nloop_\n" + "".join(
    f"_{name}\n"
    for name in ("rlnTomoName", "rlnTomoParticleName", *(f"rlnCoordinate{axis}" for axis in "XYZ"))
)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "found no columns"),
        (b"\0\1\2", "a binary file"),
        (HEAD.encode(), "expected particles in .*found none"),
        (f"{HEAD}ts ts/1 1 2 3\nts ts/2 1 2\n".encode(), "4 cells for 5 columns in line 9"),
        (f"{HEAD}'a b' i 1 2 3 # 1\nts j 1 2\n".encode(), "4 cells for 5 columns in line 9"),
        (f"{HEAD}ts i 1 2 3\nts j 1 nan 3\n".encode(), "rlnCoordinateY; found 'nan' in row 2"),
        (f"{HEAD}ts ts/1 1 2 3\nts ts/2 1 2 x\n".encode(), "rlnCoordinateZ; found 'x' in row 2"),
        (f"{HEAD}a i 1 2 3\na j 1 2 3\na i 4 5 6\n".encode(), "'i' in rows 1 and 3"),
        (HEAD.replace("rlnCoordinateX", "x").encode() + b"a i 1 2 3\n", "rlnImageName; found rln"),
        (HEAD.replace("rlnTomoName", "t").encode() + b"a i 1 2 3\n", "expected in .* rlnTomoName"),
        (f"{HEAD}ts \xe9 1 2 3\n".encode("latin-1"), "utf-8"),
        (b"data_\nloop_\n_a #1\n_a #2\n1 2\n", "duplicate tag"),
    ],
)
def test_damaged_stars_say_what_is_wrong(tmp_path: Path, body: bytes, says: str) -> None:
    path = tmp_path / "list.star"
    path.write_bytes(body)
    with pytest.raises(InputError, match=says):
        read_particles(path)


def test_a_particle_has_one_optics_group(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion4")
    path.write_text(path.read_text().replace("\n1 2.5", "\n2 2.5"))
    with pytest.raises(InputError, match="none with rlnOpticsGroup 1"):
        read_particles(path)
    path.write_text(path.read_text().replace("\n2 2.5", "\n1 2.5\n1 3.5"))
    with pytest.raises(InputError, match="two of rlnOpticsGroup 1, whose rlnTomoTiltSeriesPixelS"):
        read_particles(path)


def test_quotes_are_no_part_of_a_name(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion5")
    path.write_text(path.read_text().replace("ts ts/7", "'my ts' \"it's 7\""))
    particles = read_particles(path)
    assert particles.tomograms is not None
    assert (particles.tomograms[0], particles.ids[0]) == ("my ts", "it's 7")


def test_the_tomograms_of_a_dynamo_table_have_names(tmp_path: Path) -> None:
    path = write_list(tmp_path, "dynamo")
    assert list(read_particles(path).tomograms) == ["1"]  # type: ignore[arg-type]
    row = path.read_text().split()
    row[19] = "1.0"  # as some programs write all numbers
    path.write_text(" ".join(row))
    for listed in ("/my data/ts_1.mrc", '"/my data/ts_1.mrc"'):
        path.with_suffix(".doc").write_text(f"1 {listed}\n\n2 /data/ts_2.mrc\n")
        assert read_particles(path).tomograms.tolist() == ["/my data/ts_1.mrc"]  # type: ignore[union-attr]


def test_dynamo_angles_as_relion_has_them(tmp_path: Path) -> None:
    """A pair that gives identical reconstructions, from the tests of teamtomo's eulerangles."""
    path = write_list(tmp_path, "dynamo")
    row = path.read_text().split()
    row[6:9] = ["-47.273", "1.1777", "-132.3"]
    path.write_text(" ".join(row))
    angles = read_particles(path).angles
    assert angles is not None
    np.testing.assert_allclose((angles[0] + 180) % 360 - 180, [137.7, 1.1777, 42.727])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "No columns"),
        ("1 2 3\n", "3 columns"),
        (f"{'1 ' * 26}\n{'1 ' * 25}\n", "row 2 is shorter"),
        (f"{'1 ' * 26}\n{'1 ' * 27}\n", "line 2"),
        (f"{'1 ' * 26}\n{'1 ' * 26}\n", "tag once .* '1' in rows 1 and 2"),
    ],
)
def test_damaged_dynamo_tables_say_what_is_wrong(tmp_path: Path, body: str, says: str) -> None:
    path = tmp_path / "list.tbl"
    path.write_text(body)
    with pytest.raises(InputError, match=says):
        read_particles(path)


def test_a_byte_order_mark_is_no_part_of_a_list(tmp_path: Path) -> None:
    path = write_list(tmp_path, "relion5")
    plain = read_particles(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    marked = read_particles(path)
    assert marked.dialect == plain.dialect
    assert marked.ids.tolist() == plain.ids.tolist()
    assert marked.blocks["particles"].equals(plain.blocks["particles"])
