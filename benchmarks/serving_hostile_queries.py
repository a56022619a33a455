"""What one may wish for the volumes of a file, and what nobody should."""

from collections.abc import Iterator
from itertools import product
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from serving_clients import npy
from serving_hostile_wire import CLASSIFY, Case, request

_NUMBERS = ("", "nan", "inf", "-1", "0", "1e400", "1e-400", "9" * 400, "x", "10", "\0", "é", "1_0")
_SECONDS = (*_NUMBERS, "1e300", "1e-9")
_CONTRASTS = ("", "auto", "DARK", "bright", "\ud800", "a" * 20_000, "dark&contrast=auto")
_QUERIES = ("x=1", "%ff=%fe", "&&&=", "voxel_spacing", "a=b" * 9999, "voxel_spacing[]=1", ";")
_ALLOWED = frozenset({200, 422, 504})


def query_cases(volume: NDArray[np.float32]) -> Iterator[Case]:
    """Of /classify: every wish with every other, for one volume (d, d, d)."""
    wishes = (
        f"voxel_spacing={_quoted(spacing)}&contrast={_quoted(contrast)}&timeout={_quoted(seconds)}"
        for spacing, contrast, seconds in product(_NUMBERS, _CONTRASTS, _SECONDS)
    )
    body = npy(volume)
    for query in (*wishes, *_QUERIES):
        yield Case(query[:200], request(f"{CLASSIFY}?{query}", body), _ALLOWED)


def _quoted(value: str) -> str:
    return quote(value, safe="&=", errors="surrogatepass")
