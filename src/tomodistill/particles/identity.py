"""What tells the particles of a list apart."""

import numpy as np
import pandas as pd

from tomodistill.errors import InputError
from tomodistill.particles.columns import Columns
from tomodistill.particles.lists import Names

_NAME, _NUMBER, _IMAGE = "rlnTomoParticleName", "rlnTomoParticleId", "rlnImageName"


def identities(columns: Columns, tomograms: Names | None) -> Names:
    """(n,) unique: what the list calls its particles, or tomogram and row where it does not.

    Raises InputError if two have one name.
    """
    if _NAME in columns or (_NUMBER not in columns and _IMAGE in columns):
        name = _NAME if _NAME in columns else _IMAGE
        ids = columns.text(name)
        assert ids is not None
        return unique(ids, name, columns)
    within = "" if tomograms is None else tomograms + "/"
    numbers = columns.text(_NUMBER)
    if numbers is not None:
        return unique(np.asarray(within + numbers), f"{_NUMBER} of one tomogram", columns)
    rows = np.arange(1, len(columns.table) + 1).astype(str).astype(object)
    return np.asarray(within + rows)


def unique(ids: Names, what: str, columns: Columns) -> Names:
    """`ids` if none occurs twice. Raises InputError with the rows of the first that does."""
    again = np.flatnonzero(pd.Series(ids).duplicated())
    if len(again):
        first = int(np.flatnonzero(ids == ids[again[0]])[0])
        raise InputError(
            expected=f"each {what} once in {columns.path}",
            found=f"{ids[again[0]]!r} in rows {first + 1} and {again[0] + 1}",
            todo="Remove the duplicates, or join lists of one project only.",
        )
    return ids
