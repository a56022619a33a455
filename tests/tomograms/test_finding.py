from pathlib import Path

import pytest

from tests.tomograms.tomogram_files import SPACING
from tomodistill.errors import InputError
from tomodistill.tomograms.finding import find_tomograms


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(names: list[str], where: str | Path, folder: Path) -> list[str]:
    tomograms = find_tomograms(names, str(where))
    assert list(tomograms) == names
    return [str(each.path.relative_to(folder)) for each in tomograms.values()]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("TS_1", "TS_1.mrc"),
        ("TS_1.mrc", "TS_1.mrc"),
        ("TS_1.tomostar", "TS_1.mrc"),
        ("tomograms/TS_1/TS_1.st:mrc", "TS_1.rec"),
        ("TS_1", "TS_1_10.00Apx.mrc"),
        ("TS_1.tomostar", "TS_1_10.00Apx.mrc"),
        ("TS_1", "TS_1_bin4_rec.mrc.gz"),
        ("TS_1", "rec_TS_1.mrc"),
        ("TS_1", "rec_TS_1_bin8.mrc"),
        ("TS_1", "TS_1.ome.zarr/.zgroup"),
        ("TS_1", "TS_1/TS_1.rec"),
        ("day1/tomo", "day1/tomo.mrc"),
        ("TS_1_10.00Apx", "TS_1_10.00Apx.mrc"),
    ],
)
def test_how_files_are_called(name: str, file: str, tmp_path: Path) -> None:
    others = ("TS_10.mrc", "TS_1_2.mrc", "TS_11_10.00Apx.mrc", "XTS_1.mrc", "day2/tomo.mrc")
    touched(tmp_path, file, *others, "TS_1.st", "TS_1.ali", "TS_1.txt")
    assert found([name], tmp_path, tmp_path) == [file.removesuffix("/.zgroup")]


def test_the_better_match_then_the_upper_folder_and_no_half_maps(tmp_path: Path) -> None:
    touched(tmp_path, "TS_1_10.00Apx.mrc", "deconv/TS_1_10.00Apx.mrc", "even/TS_1_10.00Apx.mrc")
    touched(tmp_path, "TS_2.mrc", "TS_2_EVN.mrc", "TS_2_ODD.mrc", "TS_3_ODD_Vol.mrc")
    wanted = ["TS_1_10.00Apx.mrc", "TS_2.mrc", "TS_3_ODD_Vol.mrc"]
    assert found(["TS_1", "TS_2", "TS_3"], tmp_path, tmp_path) == wanted


def test_patterns_files_by_comma_and_the_only_file(tmp_path: Path) -> None:
    folder = touched(tmp_path, "a/TS_1.mrc", "b/TS_2.mrc", "b/TS_1.mrc")
    assert found(["TS_2", "TS_1"], f"{folder}/b/*.mrc", folder) == ["b/TS_2.mrc", "b/TS_1.mrc"]
    where = f"{folder}/a/TS_1.mrc,{folder}/b/TS_2.mrc"
    assert found(["TS_1", "TS_2"], where, folder) == ["a/TS_1.mrc", "b/TS_2.mrc"]
    longer = ",".join([where] * 100)  # than the name of any file
    assert found(["TS_1", "TS_2"], longer, folder) == ["a/TS_1.mrc", "b/TS_2.mrc"]
    assert found(["anything"], folder / "a/TS_1.mrc", folder) == ["a/TS_1.mrc"]


def test_a_comma_in_a_name_and_what_is_hidden(tmp_path: Path) -> None:
    folder = touched(tmp_path / "day 1, grid 2", "TS_1.mrc", "._TS_1.mrc", ".snapshot/TS_1.mrc")
    assert found(["TS_1"], folder, folder) == ["TS_1.mrc"]
    assert found(["TS_1", "TS_1.mrc"], folder, folder) == ["TS_1.mrc"] * 2


def test_names_that_are_whole_paths(tmp_path: Path) -> None:
    folder = touched(tmp_path, "here/TS_1.mrc", "here/TS_2.mrc", "there/TS_3.mrc")
    name = f"{folder}/there/TS_3.mrc"
    assert found([name], folder / "here", folder) == ["there/TS_3.mrc"]


def test_a_file_that_fits_a_longer_name_is_not_for_the_shorter(tmp_path: Path) -> None:
    touched(tmp_path, "TS_1_b_10.00Apx.mrc", "TS_1_2.bin4.mrc")
    with pytest.raises(InputError, match=r"none for TS_1\."):
        find_tomograms(["TS_1", "TS_1_b", "TS_1_2"], str(tmp_path))
    touched(tmp_path, "TS_1_10.00Apx.mrc")
    wanted = ["TS_1_10.00Apx.mrc", "TS_1_b_10.00Apx.mrc"]
    assert found(["TS_1", "TS_1_b"], tmp_path, tmp_path) == wanted


@pytest.mark.parametrize(
    ("names", "where", "found", "todo"),
    [
        ([f"TS_{n}" for n in range(1, 10)], "", "none for TS_2, TS_3, TS_4, TS_5, TS_6 and 3", ""),
        (["3", "12"], "", "none for 3, 12", "a .doc of the table's own name"),
        (["TS_1"], "", "2: ", "a pattern"),
        (["TS_1"], "/nowhere", "none: ", "Correct"),
    ],
)
def test_missing_and_ambiguous_names(
    names: list[str], where: str, found: str, todo: str, tmp_path: Path
) -> None:
    folder = touched(tmp_path, "TS_1.rec", "other.mrc")
    if len(names) == 1:
        touched(tmp_path, "TS_1.mrc")
    with pytest.raises(InputError) as caught:
        find_tomograms(names, f"{folder}{where}")
    assert found in caught.value.found
    assert todo in caught.value.todo


def write_star(path: Path, *, denoised: bool = False) -> Path:
    column = "rlnTomoReconstructedTomogram" + "Denoised" * denoised
    names = ("rlnTomoName", "rlnTomoTiltSeriesPixelSize", "rlnTomoTomogramBinning", column)
    heads = "".join(f"_{name} #{number}\n" for number, name in enumerate(names, 1))
    rows = "".join(f"{n} 2.1 5.0 job/tomograms/rec_{n}.mrc\n" for n in ("01", "TS_2", "TS_3"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"\n# version 50001\n\ndata_global\n\nloop_\n{heads}{rows}\n")
    return path


@pytest.mark.parametrize("denoised", [False, True])
def test_relions_list_gives_files_of_its_project_and_spacings(
    denoised: bool, tmp_path: Path
) -> None:
    star = write_star(tmp_path / "job" / "tomograms.star", denoised=denoised)
    touched(tmp_path, "job/tomograms/rec_01.mrc", "job/tomograms/rec_TS_2.mrc")
    tomograms = find_tomograms(["TS_2", "01"], str(star))
    assert tomograms["01"].path == tmp_path / "job/tomograms/rec_01.mrc"
    assert tomograms["TS_2"].voxel_spacing == pytest.approx(SPACING)
    with pytest.raises(InputError) as caught:
        find_tomograms(["TS_2", "TS_3", "TS_4"], str(star))
    assert caught.value.found == "none for TS_3, TS_4"


def test_other_lists_name_the_column_that_is_needed(shared: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_tomograms(["TS_001"], str(shared / "fixtures/star/relion_4_star.star"))
    assert "rlnTomoReconstructedTomogram" in caught.value.expected
    assert "rlnTomoName" in caught.value.found
    with pytest.raises(InputError, match="expected a STAR file"):
        find_tomograms(["TS_001"], "nowhere.star")


def test_relions_own_list(shared: Path, tmp_path: Path) -> None:
    star = shared / "fixtures/relion5_jobs/Tomograms/job_tomo/tomograms.star"
    copied = tmp_path / "Tomograms/job_tomo/tomograms.star"
    touched(tmp_path, "Tomograms/job_tomo/tomograms/13pf_MT.mrc")
    copied.write_bytes(star.read_bytes())
    tomogram = find_tomograms(["TS_01"], str(copied))["TS_01"]
    assert tomogram.path.name == "13pf_MT.mrc"
    assert tomogram.voxel_spacing == pytest.approx(10.52)
