"""Soft labels: a teacher's logits over a set, joined to subtomograms by id, never by position.

Logits are stored, not probabilities: the temperature belongs to the student's run, so one pass of
the teacher serves every student and every temperature.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tomodistill.errors import InputError
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.files import HDF5_ERRORS, whole_hdf5
from tomodistill.subtomograms.views import view

_BLOCK = 64  # subtomograms in memory at a time
_BYTES_BESIDE = 1024  # of an item beside its logits, generously
Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (m, d, d, d) -> (m, classes)


@dataclass(frozen=True)
class SoftLabels:
    """float32 logits (n, views, classes) of one teacher over one set."""

    logits: NDArray[np.float32]
    ids: tuple[str, ...]
    views: tuple[str, ...]  # the legal view of each column
    class_names: tuple[str, ...]
    teacher_digest: str
    set_digest: str

    @property
    def digest(self) -> str:
        """sha256 over everything in here."""
        words = (self.ids, self.views, self.class_names, self.teacher_digest, self.set_digest)
        return hashlib.sha256(json.dumps(words).encode() + self.logits.tobytes()).hexdigest()

    def check(self, *, teacher: str, data: str, class_names: tuple[str, ...]) -> None:
        """Raises InputError if they are another teacher's, of another set or of other classes.

        `teacher` and `data` are sha256 digests.
        """
        wanted = {"teacher": teacher, "set": data, "classes": ", ".join(class_names)}
        given = (self.teacher_digest, self.set_digest, ", ".join(self.class_names))
        for (of, expected), found in zip(wanted.items(), given, strict=True):
            if found != expected:
                raise _refusal(f"soft labels of the {of} {expected}", f"those of {found}")

    def join(self, ids: Sequence[str], *, class_names: tuple[str, ...]) -> NDArray[np.float32]:
        """(m, views, classes) logits of the subtomograms `ids`, in their order.

        Raises InputError if the classes differ or a subtomogram has no soft label.
        """
        if class_names != self.class_names:
            raise _refusal(f"soft labels of the classes {class_names}", f"{self.class_names}")
        row = {id: row for row, id in enumerate(self.ids)}
        missing = [id for id in ids if id not in row]
        if missing:
            raise _refusal(
                f"a soft label for each of {len(ids)} subtomograms",
                f"none for {len(missing)} of them, {missing[0]} for one",
            )
        return self.logits[[row[id] for id in ids]]


def make_soft_labels(
    data: SubtomogramSet,
    logits: Logits,
    *,
    views: tuple[str, ...],
    class_names: tuple[str, ...],
    teacher_digest: str,
) -> SoftLabels:
    """The teacher's logits over every subtomogram of `data`, labelled or not, in every view.

    `logits` maps stored volumes to the teacher's logits, preprocessing included.
    """
    rows = np.arange(len(data.ids))
    blocks = tqdm(np.split(rows, range(_BLOCK, len(rows), _BLOCK)), "soft labels", disable=None)
    made = [_logits_of_views(data.volumes(block), logits, views) for block in blocks]
    return SoftLabels(
        np.concatenate(made), tuple(data.ids), views, class_names, teacher_digest, data.digest
    )


def _logits_of_views(
    volumes: NDArray[np.float32], logits: Logits, views: tuple[str, ...]
) -> NDArray[np.float32]:
    return np.stack([logits(view(volumes, name)) for name in views], axis=1)


def write_soft_labels(path: Path, soft_labels: SoftLabels) -> None:
    """Write an HDF5 file; nothing stands at `path` until it is whole."""
    size = soft_labels.logits.nbytes + len(soft_labels.ids) * _BYTES_BESIDE
    with whole_hdf5(path, size=size) as file:
        file["logits"] = soft_labels.logits
        for name in ("ids", "views", "class_names"):
            file[name] = np.array(getattr(soft_labels, name), dtype=h5py.string_dtype())
        for name in ("teacher_digest", "set_digest", "digest"):
            file.attrs[name] = getattr(soft_labels, name)


def read_soft_labels(path: Path) -> SoftLabels:
    """Read them back. Raises InputError for another kind of file or changed content."""
    try:
        with h5py.File(path) as file:
            parts: dict[str, Any] = {"logits": np.asarray(file["logits"])}
            for name in ("ids", "views", "class_names"):
                parts[name] = tuple(file[name].asstr()[:])
            for name in ("teacher_digest", "set_digest"):
                parts[name] = str(file.attrs[name])
            read, recorded = SoftLabels(**parts), str(file.attrs["digest"])
    except HDF5_ERRORS as error:
        raise _refusal("a soft-label file (HDF5)", f"{path}: {error}") from error
    if read.digest != recorded:
        raise _refusal("content that matches its sha256", f"a changed file {path}")
    return read


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Make them with `soft_labels`.")
