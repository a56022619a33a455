"""What became of the particles of one shard, on disk: whole, sealed, and the first one stays."""

import hashlib
import io
import os
import uuid
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomodistill.errors import InputError
from tomodistill.subtomograms.files import to_disk

NOT_CLASSIFIED = -2  # in the place of a class index, beside `confidence.UNKNOWN`
PARTIAL = ".partial"
_SEAL = hashlib.sha256().digest_size  # bytes, in front of the rest


class Reason(IntEnum):
    """Why a particle has no class, or what is to be known of the one it has."""

    CLASSIFIED = 0
    PADDED = 1  # classified, though a part of its box lies outside of the tomogram
    DROPPED = 2  # a part of its box lies outside
    NOT_FINITE = 3  # NaN or infinity in its box
    CONSTANT = 4  # nothing in its box
    SET_ASIDE = 5  # its shard failed again and again
    MISSING = 6  # not computed yet


@dataclass(frozen=True)
class Results:
    """Of m particles of one list."""

    rows: NDArray[np.int64]  # (m,) in the list
    classes: NDArray[np.int16]  # (m,) class index, UNKNOWN or NOT_CLASSIFIED
    probabilities: NDArray[np.float32]  # (m, classes); NaN where not classified
    scores: NDArray[np.float64]  # (m,) see `Unknown`; NaN where there is none
    reasons: NDArray[np.uint8]  # (m,) Reason
    made_by: str = ""  # engine, precision and device


def write_results(path: Path, results: Results, *, job: str, shard: int) -> None:
    """Of a job by its digest. Two that compute the same shard do no harm: the first one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = io.BytesIO()
    np.savez(body, allow_pickle=False, **vars(results))
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        partial.write_bytes(_seal(body.getbuffer(), job, shard) + body.getbuffer())
        to_disk(partial)
        _publish(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_results(path: Path, *, job: str, shard: int) -> Results:
    """Raises InputError for what was changed, torn, or made for another job or shard."""
    content = path.read_bytes()
    seal, body = content[:_SEAL], memoryview(content)[_SEAL:]
    if seal != _seal(body, job, shard):
        raise InputError(
            expected="results as they were written", found=f"others in {path}", todo="Remove it."
        )
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        values: dict[str, Any] = dict(arrays)
    return Results(**{**values, "made_by": str(values["made_by"])})


def _seal(body: memoryview, job: str, shard: int) -> bytes:
    return hashlib.sha256(f"{job} {shard} ".encode() + body).digest()


def _publish(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)  # fails if there is one
    except FileExistsError:
        return
    except OSError:  # a file system without links: the last one stays, it says the same
        os.replace(partial, path)
