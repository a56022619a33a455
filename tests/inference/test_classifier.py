import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample
from scipy.special import softmax

from tests.versions import CALIBRATION, UNKNOWN, write_random_version
from tomodistill.errors import InputError
from tomodistill.inference import confidence
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import file_digest, load_model
from tomodistill.subtomograms.preprocessing import Preprocessing, preprocess


@dataclass
class Answering:
    """An engine that gives the same logits to whatever is asked."""

    answer: np.ndarray  # (classes,), or (n, classes) where n volumes are asked for
    precision: str = "float32"
    name, device = "none", "cpu"

    def logits(self, volumes: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.answer, (len(volumes), self.answer.shape[-1]))

    def warm_up(self) -> None: ...


def test_it_is_the_network_after_preprocessing(
    classifier: Classifier, version_folder: Path, version_volumes: np.ndarray
) -> None:
    seen = preprocess(
        version_volumes[:6],
        voxel_spacing=10.0,
        contrast="dark",
        parameters=Preprocessing(lowpass=30.0),
    )
    expected = np.asarray(load_model(version_folder).predict(seen[..., None], verbose=0))
    np.testing.assert_allclose(classifier.logits(version_volumes[:6]), expected, atol=1e-4)
    probabilities = classifier.probabilities(version_volumes[:6])
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, softmax(expected, axis=1), atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_stored_scale_and_offset_do_not_matter(
    classifier: Classifier, version_volumes: np.ndarray
) -> None:
    volumes = version_volumes[:2]
    one, other = classifier.probabilities(volumes), classifier.probabilities(500 * volumes + 1e4)
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert np.abs(one - classifier.probabilities(-volumes)).max() > 0.01  # contrast does


@pytest.mark.parametrize("count", [1, 3, 5, 65])
def test_company_does_not_matter(
    classifier: Classifier, version_volumes: np.ndarray, count: int
) -> None:
    together = classifier.probabilities(version_volumes[:count])
    alone = classifier.probabilities(version_volumes[count - 1 : count])
    np.testing.assert_allclose(together[-1:], alone, atol=1e-5)
    assert together.shape == (count, 3)


def test_threads_get_the_numbers_of_their_own_volumes(
    classifier: Classifier, version_volumes: np.ndarray
) -> None:
    parts = [version_volumes[start : start + 1 + start % 5] for start in range(24)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(classifier.probabilities, parts))
    for part, probabilities in zip(parts, found, strict=True):
        np.testing.assert_allclose(probabilities, classifier.probabilities(part), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 26, 26, 26), (1, 28, 28, 28), (1, 27, 27, 26), (27, 27, 27)])
def test_another_box_is_refused(classifier: Classifier, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        classifier.probabilities(np.ones(shape, np.float32))
    assert caught.value.expected == "boxes of 27 x 27 x 27 voxels"
    assert caught.value.found == " x ".join(map(str, shape[1:]))


@pytest.mark.parametrize("dtype", [complex, object, bool, "U1"])
def test_what_are_no_real_numbers_is_refused(classifier: Classifier, dtype: object) -> None:
    volumes = np.ones((1, 27, 27, 27), dtype)
    with pytest.raises(InputError, match=f"volumes of real numbers.* found {volumes.dtype}"):
        classifier.probabilities(volumes)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float16, np.float64, ">f4"])
def test_other_real_numbers_are_converted(
    classifier: Classifier, version_volumes: np.ndarray, dtype: object
) -> None:
    volumes = np.rint(10 * np.abs(version_volumes[:2]))
    expected = classifier.logits(volumes)
    np.testing.assert_allclose(classifier.logits(volumes.astype(dtype)), expected, atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("item", [0, 69, 280])
@pytest.mark.parametrize("voxel", [(0, 0, 0), (13, 1, 26)])
def test_what_is_not_finite_is_refused_with_its_position(
    classifier: Classifier,
    version_volumes: np.ndarray,
    value: float,
    item: int,
    voxel: tuple[int, int, int],
) -> None:
    volumes = np.resize(version_volumes, (item + 1, 27, 27, 27))  # a copy
    volumes[(item, *voxel)] = value
    engine = Answering(np.zeros(3, np.float32))  # takes no time
    with pytest.raises(InputError, match=f"NaN or infinity in subtomogram {item},"):
        replace(classifier, engine=engine).decide(volumes)


def test_no_volumes_get_no_decisions(classifier: Classifier, confident: Classifier) -> None:
    none = np.empty((0, 27, 27, 27), np.float32)
    for some in (classifier, confident):
        found = some.decide(none)
        assert (found.classes.shape, found.probabilities.shape) == ((0,), (0, 3))
    assert found.scores is not None
    assert found.scores.shape == (0,)


@pytest.mark.parametrize("spacing", [9.79, 10.21, 1.2, 100.0])
def test_another_voxel_spacing_is_refused(
    classifier: Classifier, version_volumes: np.ndarray, spacing: float
) -> None:
    with pytest.raises(InputError, match=f"{spacing:.3f} Å"):
        classifier.probabilities(version_volumes[:1], voxel_spacing=spacing)


def test_finer_volumes_of_either_contrast_are_brought_to_the_models(
    classifier: Classifier, version_volumes: np.ndarray
) -> None:
    fine = -version_volumes[:3]
    for axis in (1, 2, 3):  # 81 voxels of 3.33 Å, the centre at the centre
        fine = np.roll(resample(fine, 81, axis=axis), 1, axis=axis)
    found = classifier.decide(fine, voxel_spacing=10 / 3, contrast="bright")
    expected = classifier.probabilities(version_volumes[:3])
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)


@pytest.mark.parametrize("spacing", [None, 9.81, 10.0, 10.19])
def test_the_voxel_spacing_of_the_model_or_none_is_accepted(
    classifier: Classifier, version_volumes: np.ndarray, spacing: float | None
) -> None:
    assert classifier.probabilities(version_volumes[:1], voxel_spacing=spacing).shape == (1, 3)


def with_probe_logits(source: Path, folder: Path, logits: np.ndarray) -> Path:
    """A version whose files are as its manifest says, but whose probe was answered otherwise."""
    shutil.copytree(source, folder)
    np.save(folder / "probe_logits.npy", logits)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["probe_logits.npy"] = file_digest(folder / "probe_logits.npy")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("change", [0.05, np.nan])
def test_self_test_fails_where_the_model_answers_otherwise(
    version_folder: Path, tmp_path: Path, change: float
) -> None:
    logits = np.load(version_folder / "probe_logits.npy")
    logits[1, 0] += change
    folder = with_probe_logits(version_folder, tmp_path / "version", logits)
    with pytest.raises(InputError, match="stored probabilities of the probe"):
        Classifier.load(folder)


def test_self_test_lets_rounding_pass(version_folder: Path, tmp_path: Path) -> None:
    logits = np.load(version_folder / "probe_logits.npy") + 1e-4
    folder = with_probe_logits(version_folder, tmp_path / "version", logits)
    assert Classifier.load(folder).manifest.network == "s3"


@pytest.mark.parametrize(
    ("precision", "change", "passes"),
    [
        ("float32", 0.0005, True),
        ("float32", 0.005, False),
        ("bfloat16", 0.1, True),
        ("bfloat16", 0.3, False),
    ],
)
def test_self_test_gives_a_reduced_precision_more_room(
    classifier: Classifier, version_folder: Path, precision: str, change: float, passes: bool
) -> None:
    probabilities = softmax(np.load(version_folder / "probe_logits.npy"), axis=1)
    one = probabilities[2]  # of three classes: the highest is above a third
    one[one.argmax()] -= change
    one[one.argmin()] += change
    tested = replace(classifier, engine=Answering(np.log(probabilities), precision))
    if passes:
        tested.self_test(version_folder)
        return
    with pytest.raises(InputError, match="stored probabilities of the probe"):
        tested.self_test(version_folder)


def test_a_damaged_version_is_never_loaded(version_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(version_folder, tmp_path / "version"))
    (folder / "model.keras").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"model\.keras as it was written"):
        Classifier.load(folder)


@pytest.fixture(scope="module")
def confident(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """The version of `classifier` with a calibration and a rejection."""
    known = {"calibration": CALIBRATION, "unknown": UNKNOWN}
    folder = tmp_path_factory.mktemp("versions") / "confident"
    return Classifier.load(write_random_version(folder, seed=3, **known))


def test_probabilities_are_calibrated_and_logits_are_not(
    classifier: Classifier, confident: Classifier, version_volumes: np.ndarray
) -> None:
    volumes = version_volumes[:8]
    logits = confident.logits(volumes)
    np.testing.assert_allclose(logits, classifier.logits(volumes), atol=1e-5)
    expected = softmax(logits.astype(float) / CALIBRATION.temperature, axis=1)
    np.testing.assert_allclose(confident.probabilities(volumes), expected, atol=1e-6)
    assert np.abs(expected - classifier.probabilities(volumes)).max() > 0.01


def test_the_most_probable_class_or_unknown(
    confident: Classifier, version_volumes: np.ndarray
) -> None:
    found = confident.decide(version_volumes)
    highest = found.probabilities.max(axis=1)
    np.testing.assert_allclose(found.scores, highest, atol=1e-6)
    rejected = found.classes == confidence.UNKNOWN
    assert 0 < rejected.sum() < len(rejected)
    assert highest[rejected].max() < UNKNOWN.threshold <= highest[~rejected].min()
    known = found.probabilities[~rejected].argmax(axis=1)
    np.testing.assert_array_equal(found.classes[~rejected], known)


def test_a_version_without_a_threshold_rejects_nothing(
    classifier: Classifier, version_volumes: np.ndarray
) -> None:
    found = classifier.decide(version_volumes)
    assert found.scores is None
    np.testing.assert_array_equal(found.classes, found.probabilities.argmax(axis=1))


def test_priors_reweight_probabilities_and_leave_rejection(
    confident: Classifier, version_volumes: np.ndarray
) -> None:
    before = confident.decide(version_volumes)
    after = confident.decide(version_volumes, priors={"chaperonin": 0.8, "ribosome": 0.1})
    weighted = before.probabilities * [0.1 / 0.5, 0.1 / 0.25, 0.8 / 0.25]
    expected = weighted / weighted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after.probabilities, expected, atol=1e-6)
    np.testing.assert_array_equal(after.scores, before.scores)
    unknown = before.classes == confidence.UNKNOWN
    np.testing.assert_array_equal(after.classes == confidence.UNKNOWN, unknown)
    assert (after.classes[~unknown] != before.classes[~unknown]).any()


def test_priors_need_a_calibration_and_classes_of_the_model(
    classifier: Classifier, confident: Classifier, version_volumes: np.ndarray
) -> None:
    with pytest.raises(InputError, match="a version with a calibration"):
        classifier.probabilities(version_volumes[:1], priors={"ribosome": 0.4})
    with pytest.raises(InputError, match="priors: classes among ribosome, proteasome"):
        confident.probabilities(version_volumes[:1], priors={"virus": 0.4})
