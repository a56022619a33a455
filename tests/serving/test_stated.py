"""What a client may state beside a file, and what the answer says of it."""

import numpy as np
import pytest

from tests.serving.bodies import mrc, npy, volumes
from tests.versions import SPACING
from tomodistill.subtomograms.volumes import write_mrc

BOX = 27
FINE = 2 * BOX  # voxels at half the spacing


def asked(client, body: bytes, **query) -> dict:
    answer = client.post("/classify", content=body, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client, body: bytes, status: int = 422, **query) -> str:
    answer = client.post("/classify", content=body, params=query)
    assert (answer.status_code, set(answer.json())) == (status, {"error"}), answer.text
    return answer.json()["error"]


def probabilities(answer: dict) -> list[list[float]]:
    return [list(p["probabilities"].values()) for p in answer["predictions"]]


def test_nothing_stated_is_assumed_and_said(client, volume):
    assert asked(client, npy(volume))["input"] == {
        "box": BOX,
        "voxel_spacing": SPACING,
        "contrast": "dark",
        "rescaled": False,
        "assumed": ["voxel_spacing", "contrast"],
    }


def test_a_finer_file_that_states_all_is_rescaled(client, classifiers, tmp_path):
    fine = volumes(1, box=FINE + 6)[0]
    path = tmp_path / "fine.mrc"
    write_mrc(path, fine, SPACING / 2, "bright")
    answer = asked(client, path.read_bytes())
    taken = {"box": FINE, "voxel_spacing": 5.0, "contrast": "bright"}
    assert answer["input"] == {**taken, "rescaled": True, "assumed": []}
    expected = classifiers["one"].decide(fine[None], voxel_spacing=5.0, contrast="bright")
    np.testing.assert_allclose(probabilities(answer), expected.probabilities, atol=1e-6)


def test_the_client_states_what_a_file_does_not(client, tmp_path):
    fine = volumes(1, box=FINE)[0]
    stated = asked(client, npy(fine), voxel_spacing=5, contrast="bright")
    assert (stated["input"]["rescaled"], stated["input"]["assumed"]) == (True, [])
    same = asked(client, mrc(tmp_path, fine, 5.0), contrast="bright")
    silent = asked(client, mrc(tmp_path, fine, 0.0), voxel_spacing=5.0, contrast="bright")
    assert probabilities(stated) == probabilities(same) == probabilities(silent)


def test_the_client_is_believed_about_contrast_and_small_differences(client, volume, tmp_path):
    path = tmp_path / "one.mrc"
    write_mrc(path, volume, 10.1, "dark")
    taken = asked(client, path.read_bytes(), contrast="bright", voxel_spacing=9.95)["input"]
    assert (taken["contrast"], taken["voxel_spacing"], taken["assumed"]) == ("bright", 9.95, [])
    assert asked(client, path.read_bytes(), contrast="auto")["input"]["contrast"] == "dark"


def test_two_voxel_spacings_contradict_each_other(client, volume, tmp_path):
    error = refused(client, mrc(tmp_path, volume), voxel_spacing=5.0)
    assert "expected voxel_spacing=10.000 Å, as the header says; found 5 Å" in error


@pytest.mark.parametrize(
    ("query", "words"),
    [
        *(({"voxel_spacing": s}, "voxel_spacing") for s in ("0", "-3", "nan", "inf", "1e9", "x")),
        *(({"timeout": t}, "timeout") for t in ("0", "-1", "nan", "inf", "soon")),
        ({"contrast": "grey"}, "contrast as /docs describes it; found 'grey'"),
        ({"voxelspacing": "5"}, "voxelspacing as /docs describes it; found '5'"),
        ({"contrast": "x" * 5000}, "found '" + "x" * 99 + ". Input"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(client, volume, query, words):
    assert words in refused(client, npy(volume), **query)


def test_who_cannot_wait_is_told(client, volume):
    assert "deadline" in refused(client, npy(volume), 504, timeout=1e-9)
    assert asked(client, npy(volume), timeout=1e9)
