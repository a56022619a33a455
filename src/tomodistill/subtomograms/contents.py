"""What an item holds, whatever its id: a volume is known again in another set or storage."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.preprocessing import Contrast
from tomodistill.subtomograms.row_file import rows_per_block

_HALF = np.finfo(np.float16)
_DIGEST_BYTES = 16
_Known = dict[str | bytes, tuple[SubtomogramSet, int]]  # id or content -> where it is


def content_digests(data: SubtomogramSet, *, contrast: Contrast | None = None) -> Iterator[bytes]:
    """A digest of each item's volume, in order; memory is bounded by one block of them.

    That of a float32 volume is also that of its float16 copy. A volume that was turned, scaled or
    filtered has another. With `contrast`, of the volumes as they are in that.
    """
    count, step = len(data.ids), rows_per_block(4 * data.header.box**3)
    for start in range(0, count, step):
        rows = np.arange(start, min(start + step, count))
        yield from map(content_digest, data.volumes(rows, contrast=contrast))


def check_new(sets: Sequence[SubtomogramSet], *, to: SubtomogramSet) -> None:
    """Raises InputError if an item of one of these sets is also in `to` or in another of them.

    An item of the validation or test part must not be learned from, and one of the training part
    would count twice. Ids tell as much as contents within one set alone: others may have numbered
    their items alike.
    """
    ids: _Known = {id: (to, row) for row, id in enumerate(to.ids.tolist())}
    known: _Known = {content: (to, row) for row, content in enumerate(content_digests(to))}
    for data in sets:
        contents = list(content_digests(data))
        here = ids | known if data.header.set_id == to.header.set_id else known
        for row, keys in enumerate(zip(data.ids.tolist(), contents, strict=True)):
            _check_unknown(data, row, keys, here)
        known |= {content: (data, row) for row, content in enumerate(contents)}


def check_apart(sets: Sequence[SubtomogramSet]) -> None:
    """Raises InputError for a volume that is twice in these sets, in whatever contrast.

    What one holds out must not be in another's training part; ids of sets from elsewhere tell
    nothing.
    """
    known: dict[bytes, tuple[SubtomogramSet, int]] = {}
    for data in sets:
        for row, content in enumerate(content_digests(data, contrast="dark")):
            if content in known:
                of, at = known[content]
                raise InputError(
                    expected="subtomograms that are once in all sets together",
                    found=f"{data.ids[row]} of {data.path}, which is {of.ids[at]} of {of.path}",
                    todo="Leave one of the sets out, or make one without what the other has.",
                )
            known[content] = data, row


def _check_unknown(
    data: SubtomogramSet, row: int, keys: Sequence[str | bytes], known: _Known
) -> None:
    for key in keys:
        if key in known:
            of, at = known[key]
            raise InputError(
                expected="transfer items, each once, that no set of the student or held out has",
                found=f"{data.ids[row]} of {data.path}, which is {of.ids[at]} "
                f"in the {of.columns['split'][at]} part of {of.path}",
                todo="Leave it out of the transfer set.",
            )


def content_digest(volume: NDArray[np.float32]) -> bytes:
    """16 bytes that tell a (d, d, d) volume from any other.

    Of the values as float16 where that can hold them: elsewhere no copy is one."""
    largest = np.abs(volume).max()
    halved = _HALF.smallest_normal <= largest <= _HALF.max
    values = volume.astype("<f2" if halved else "<f4")
    return hashlib.blake2b(values.tobytes(), digest_size=_DIGEST_BYTES).digest()
