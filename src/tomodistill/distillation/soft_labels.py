"""Soft labels: a teacher's logits over a set, joined to subtomograms by id, never by position.

Logits are stored, not probabilities: the temperature belongs to the student's run, so one pass of
the teacher serves every student and every temperature. They are written block by block, and
continued after a kill, as a set is.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tomodistill.errors import InputError
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.files import HDF5_ERRORS
from tomodistill.subtomograms.items import COLUMNS
from tomodistill.subtomograms.row_file import (
    Layout,
    continued_rows,
    file_digest,
    rows_per_block,
    write_digest,
    write_rows,
)
from tomodistill.subtomograms.views import view

Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (m, d, d, d) -> (m, classes)
_STORED = np.dtype("<f4")


@dataclass(frozen=True)
class SoftLabels:
    """float32 logits (n, views, classes) of one teacher over one set."""

    logits: NDArray[np.float32]
    ids: tuple[str, ...]
    views: tuple[str, ...]  # the legal view of each column
    class_names: tuple[str, ...]
    teacher_digest: str
    set_digest: str
    digest: str  # sha256 over everything in here

    def check(
        self, *, teacher: str, data: str, class_names: tuple[str, ...], views: tuple[str, ...]
    ) -> None:
        """Raises InputError if they are another teacher's, of another set, classes or views.

        `teacher` and `data` are sha256 digests.
        """
        wanted = {"teacher": teacher, "set": data, "classes": class_names, "views": views}
        given = (self.teacher_digest, self.set_digest, self.class_names, self.views)
        for (of, expected), found in zip(wanted.items(), given, strict=True):
            if found != expected:
                words = [", ".join([x] if isinstance(x, str) else x) for x in (expected, found)]
                raise _refusal(f"soft labels of the {of} {words[0]}", f"those of {words[1]}")

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


def mean_logits(logits: NDArray[np.float32], *, axis: int) -> NDArray[np.float32]:
    """One answer from several along `axis`, teachers or views: the mean of their logits.

    Its softmax is the geometric mean of theirs, normalised, at every temperature: the mean of
    log_softmax differs from it by a constant in each row.
    """
    return np.asarray(logits.mean(axis=axis, dtype=np.float64), np.float32)


def labels_of_views(
    logits: NDArray[np.float32],
    *,
    given: tuple[str, ...],
    wanted: tuple[str, ...],
    label_views: str,
) -> NDArray[np.float32]:
    """(n, wanted, classes) what a student learns in each view, from (n, given, classes) logits.

    `label_views`: those of the same view ("matching"), those of the volume unturned ("identity"),
    or the mean over all that are given ("mean").
    """
    if label_views == "matching":
        return logits[:, [given.index(name) for name in wanted]]
    one = logits[:, given.index("identity")]
    if label_views == "mean":
        one = mean_logits(logits, axis=1)
    return np.repeat(one[:, None], len(wanted), axis=1)


def make_soft_labels(
    path: Path,
    data: SubtomogramSet,
    logits: Logits,
    *,
    views: tuple[str, ...],
    class_names: tuple[str, ...],
    teacher_digest: str,
) -> SoftLabels:
    """The teacher's logits over every subtomogram of `data`, labelled or not, in every view.

    `logits` maps stored volumes to the teacher's logits, preprocessing included. Nothing stands at
    `path` until all of them do. What was interrupted is continued; memory is bounded by one block
    of volumes (32 MiB) while they are made. Raises InputError where another process makes them.
    """
    words = {"views": views, "class_names": class_names}
    header = {**words, "teacher_digest": teacher_digest, "set_digest": data.digest}
    with suppress(InputError):
        found = read_soft_labels(path)  # its writer died with the work after it undone
        found.check(teacher=teacher_digest, data=data.digest, **words)
        return found
    row = {"logits": (_STORED, (len(views), len(class_names))), "ids": COLUMNS["id"]}
    layout = Layout(len(data.ids), row, {"header": json.dumps(header)})
    with continued_rows(path, layout) as (file, start):
        for rows in _blocks(data, start):
            made = _logits_of_views(data.volumes(rows), logits, views)
            ids = np.array([id.encode() for id in data.ids[rows]], COLUMNS["id"][0])
            write_rows(file, rows[0], {"logits": made.astype(_STORED), "ids": ids})
        write_digest(file, _digest(file))
    return read_soft_labels(path)


def read_soft_labels(path: Path) -> SoftLabels:
    """Read them back. Raises InputError for another kind of file or changed content."""
    try:
        with h5py.File(path) as file:
            header: Any = json.loads(file.attrs["header"])
            header |= {name: tuple(header[name]) for name in ("views", "class_names")}
            logits, digest = np.asarray(file["logits"], np.float32), file_digest(file)
            read = SoftLabels(logits, _ids(file), digest=digest, **header)
            changed = _digest(file) != digest
    except HDF5_ERRORS as error:
        raise _refusal("a soft-label file (HDF5)", f"{path}: {error}") from error
    if changed:
        raise _refusal("content that matches its sha256", f"a changed file {path}")
    return read


def _blocks(data: SubtomogramSet, start: int) -> Iterable[NDArray[np.int64]]:
    """Positions of the subtomograms from `start` on, so many as one block of volumes has."""
    count, step = len(data.ids), rows_per_block(4 * data.header.box**3)
    with tqdm(total=count, initial=start, desc="soft labels", disable=None) as bar:
        for first in range(start, count, step):
            rows = np.arange(first, min(first + step, count))
            yield rows
            bar.update(len(rows))


def _logits_of_views(
    volumes: NDArray[np.float32], logits: Logits, views: tuple[str, ...]
) -> NDArray[np.float32]:
    return np.stack([logits(view(volumes, name)) for name in views], axis=1)


def _ids(file: h5py.File) -> tuple[str, ...]:
    return tuple(file["ids"].asstr()[:])


def _digest(file: h5py.File) -> str:
    """sha256 over header, ids and logits, in a fixed order and byte order."""
    content = hashlib.sha256(str(file.attrs["header"]).encode())
    content.update(json.dumps(_ids(file)).encode())
    logits = file["logits"]
    step = rows_per_block(4 * int(np.prod(logits.shape[1:])))
    for start in range(0, len(logits), step):
        content.update(logits[start : start + step].astype(_STORED, copy=False).data)
    return content.hexdigest()


def _refusal(expected: str, found: str) -> InputError:
    return InputError(expected=expected, found=found, todo="Make them with `soft_labels`.")
