"""A model version: the folder that the registry stores and a Classifier loads.

    model.keras  manifest.json  probe.npy  probe_logits.npy  [openvino.xml  openvino.bin]

The manifest names the sha256 of every other file. A version is never changed: adding a file makes
a new one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.inference.confidence import Calibration, Unknown
from tomodistill.subtomograms.preprocessing import Contrast, Preprocessing

if TYPE_CHECKING:  # it takes ten seconds to import, and other engines do without it
    import keras

SCHEMA_VERSION = 1
MODEL, MANIFEST = "model.keras", "manifest.json"
PROBE, PROBE_LOGITS = "probe.npy", "probe_logits.npy"
_RANGES = ("tilt_range", "snr_range")  # of a manifest
_MOST_BYTES = 2**32  # that a model file may hold
_MOST_EXPANSION = 10  # weights hardly compress, and Keras does not even try
_SMALL_BYTES = 2**24  # whatever they expand from: a description of many layers does compress


@dataclass(frozen=True)
class Manifest:
    """What a model must be told with its weights to be used rightly."""

    network: str
    role: str  # "teacher" or "student"
    class_names: tuple[str, ...]
    box: int  # voxels
    voxel_spacing: float  # Å
    contrast: Contrast  # of the volumes it expects
    preprocessing: Preprocessing
    tilt_range: tuple[float, float]  # degrees, of its training data; NaN: not known
    snr_range: tuple[float, float]  # likewise
    digests: dict[str, str]  # "data", and for students "soft_labels" and "teacher"
    training: dict[str, Any]  # the configuration it was trained with
    metrics: dict[str, float] = field(default_factory=dict)
    # Engine -> precision -> its `gate.Figures`; none of Keras in float32, the reference.
    engines: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {"keras": {"float32": {}}}
    )
    calibration: Calibration | None = None  # None: probabilities are the softmax as it is
    unknown: Unknown | None = None  # None: nothing is rejected
    files: dict[str, str] = field(default_factory=dict)  # name -> sha256
    schema_version: int = SCHEMA_VERSION


def write_version(
    folder: Path,
    manifest: Manifest,
    model: keras.Model,
    *,
    probe: NDArray[np.float32],
    probe_logits: NDArray[np.float32],
    artifacts: Iterable[Path] = (),
) -> Manifest:
    """Write a version into the new `folder`; returns the manifest with its files' sha256.

    `probe` (m, d, d, d) are stored volumes, `probe_logits` (m, classes) what the model says of
    them: the self-test of whoever loads the version. `artifacts`: files of engines, to be copied.
    """
    folder.mkdir(parents=True)
    _without_optimizer(model).save(folder / MODEL)
    np.save(folder / PROBE, probe)
    np.save(folder / PROBE_LOGITS, probe_logits)
    for path in artifacts:
        shutil.copy(path, folder)
    whole = replace(manifest, files={n: file_digest(folder / n) for n in _names(folder)})
    (folder / MANIFEST).write_text(json.dumps(_plain(whole), indent=2, sort_keys=True) + "\n")
    return whole


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a version, every file held to its sha256.

    Raises InputError if the folder is no version, of another schema, or was changed.
    """
    try:
        read = json.loads((folder / MANIFEST).read_text())
        schema = read["schema_version"]
        manifest = Manifest(**_typed(read)) if schema == SCHEMA_VERSION else None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _refusal(f"a model version with a {MANIFEST}", f"{folder}: {error!r}") from error
    if manifest is None:
        raise _refusal(f"manifest schema {SCHEMA_VERSION}", f"{schema}")
    _check_files(folder, manifest)
    return manifest


def load_model(folder: Path) -> keras.Model:
    """The Keras model of a version; no code in the file is run.

    Raises InputError for what `check_archive` refuses, and whatever Keras does.
    """
    check_archive(folder / MODEL)
    import keras

    return keras.saving.load_model(folder / MODEL, compile=False, safe_mode=True)


def check_archive(path: Path) -> None:
    """Raises InputError unless a .keras file is an archive that holds about what it weighs.

    Readers of archives believe the sizes that these declare, and read no more than that.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            holds = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise _refusal(f"{MODEL} to be a Keras archive", f"{error}") from error
    most = min(max(_MOST_EXPANSION * path.stat().st_size, _SMALL_BYTES), _MOST_BYTES)
    if holds > most:
        raise _refusal(f"{MODEL} to hold {most:,} bytes at most", f"{holds:,}")


def _without_optimizer(model: keras.Model) -> keras.Model:
    """Its state would triple the file, and its loss needs code that a reader may not have."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def file_digest(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(folder: Path, manifest: Manifest) -> None:
    for name in sorted({MODEL, PROBE, PROBE_LOGITS, *manifest.files}):
        path, digest = folder / name, manifest.files.get(name)
        if not path.is_file() or file_digest(path) != digest:
            raise _refusal(f"{name} as it was written", f"a missing or changed file in {folder}")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _plain(manifest: Manifest) -> dict[str, Any]:
    """JSON has no NaN: an end of a range that is not known is null."""
    ranges = {name: getattr(manifest, name) for name in _RANGES}
    known = {name: [None if isnan(x) else x for x in ends] for name, ends in ranges.items()}
    return {**asdict(manifest), **known}


def _typed(read: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples, no dataclasses and no NaN."""
    typed: dict[str, Any] = {"class_names": tuple(read["class_names"])}
    typed |= {name: tuple(nan if x is None else x for x in read[name]) for name in _RANGES}
    typed["preprocessing"] = Preprocessing(**read["preprocessing"])
    if read["calibration"]:
        typed["calibration"] = Calibration(**read["calibration"])
    if read["unknown"]:
        held_out = {name: tuple(read["unknown"][name]) for name in ("held_out_a", "held_out_b")}
        typed["unknown"] = Unknown(**{**read["unknown"], **held_out})
    return {**read, **typed}


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Choose another version, or train one.")
