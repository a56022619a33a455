"""Which file is the tomogram that a particle list names."""

import re
from collections.abc import Iterable
from pathlib import Path

from tomodistill.errors import InputError, few
from tomodistill.tomograms.files import is_volume_name
from tomodistill.tomograms.mrc import COMPRESSED, OF_IMAGES
from tomodistill.tomograms.named import named_files
from tomodistill.tomograms.relion import FoundTomogram, read_tomograms

_Rank = tuple[bool, int, int]  # the lower the better: see `_rank`
_Ranks = dict[Path, _Rank]
_OF_LISTS = (".tomostar",)  # suffixes of names in lists, beside those of volume files
_RELION = "rec_"  # before the names of its reconstructions
# After a name: a word on how the tomogram was made. A whole number alone is another tomogram.
_WORDS = re.compile(r"(?![_. -]\d+(?![0-9A-Za-z]|\.\d))[^0-9A-Za-z].*")
_HALF = re.compile(r"(^|[^0-9a-z])(evn|odd|even|half[-_]?[12])([^0-9a-z]|$)", re.IGNORECASE)


def find_tomograms(names: Iterable[str], where: str) -> dict[str, FoundTomogram]:
    """The tomogram of each name: in a folder, of files or patterns by comma, or as RELION's
    tomograms.star says.

    A file has the name that a list uses, with or without a suffix, RELION's rec_ before it, or
    words after it that do not begin with a number of their own: TS_1 is TS_1.mrc, rec_TS_1.mrc,
    TS_1_bin4.rec or TS_1_10.00Apx.mrc, but not TS_10.mrc or TS_1_2.mrc. What fits a longer name
    as well is that one's. The better match serves, then the one in the upper folder; half maps
    serve where there is nothing else. One file serves the only name; stacks of images (.st, .ali,
    .mrcs) serve none. Raises InputError for names without a file, and for those with several.
    """
    wanted = list(dict.fromkeys(names))
    found = read_tomograms(Path(where), wanted) if _is_list(where) else _by_name(wanted, where)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(
            expected=f"a tomogram for every name in the list, in {where}",
            found=f"none for {few(missing)}",
            todo=_todo(missing),
        )
    return found


def _todo(missing: list[str]) -> str:
    if all(name.isdecimal() for name in missing):
        return "Dynamo's tomograms have names where a .doc of the table's own name lists them."
    return (
        "Correct tomograms=, or take these particles out of the list; "
        f"{', '.join(OF_IMAGES)} are tilt series."
    )


def _is_list(where: str) -> bool:
    return where.endswith(".star")


def _by_name(names: list[str], where: str) -> dict[str, FoundTomogram]:
    files = [path for path in named_files(where, deep=True) if path.suffix not in OF_IMAGES]
    if len(files) == len(names) == 1:
        return {names[0]: FoundTomogram(files[0])}
    best = {name: _best(name, own) or _itself(name) for name, own in _own(names, files).items()}
    return {name: FoundTomogram(path) for name, path in best.items() if path}


def _own(names: list[str], files: list[Path]) -> dict[str, _Ranks]:
    """The files that fit each name, and no longer one: TS_1_b.mrc is that of TS_1_b."""
    called = [(path, path.name) for path in files]  # once: there may be thousands of names
    ranks = {name: _ranks(name, called) for name in names}
    longest: dict[Path, int] = {}
    for name, ranked in ranks.items():
        longest |= {path: max(len(_key(name)), longest.get(path, 0)) for path in ranked}
    return {
        name: {path: rank for path, rank in ranked.items() if len(_key(name)) == longest[path]}
        for name, ranked in ranks.items()
    }


def _ranks(name: str, files: list[tuple[Path, str]]) -> _Ranks:
    key = _key(name)  # sought first: of ten thousand files few have it
    near = [path for path, called in files if key in called]
    return {path: rank for path in near if (rank := _rank(name, path)) is not None}


def _best(name: str, ranks: _Ranks) -> Path | None:
    first = min(ranks.values(), default=None)
    best = [path for path, rank in ranks.items() if rank == first]
    if len(best) > 1:
        raise InputError(
            expected=f"one tomogram of the name {name}",
            found=f"{len(best)}: {best[0]} and {best[1]}",
            todo="Give a pattern with tomograms= that matches the right ones alone.",
        )
    return best[0] if best else None


def _itself(name: str) -> Path | None:
    """Some lists name whole paths."""
    path = Path(name)
    return path if path.is_absolute() and is_volume_name(path) and path.exists() else None


def _rank(name: str, path: Path) -> _Rank | None:
    """Whether a half map, how near the name, how deep; None: another's."""
    listed, stem = _listed(name), _stem(path.name)
    key, bare = _key(name), stem.removeprefix(_RELION)
    half = bool(_HALF.search(stem)) or any(_HALF.fullmatch(part) for part in path.parts[:-1])
    near = (
        path.parts[-len(listed.parts) :] == listed.parts,
        (*path.parts[:-1], stem)[-len(listed.parts) :] == (*listed.parts[:-1], key),
        stem == key,
        bare == key,
        bare.startswith(key) and _WORDS.fullmatch(bare.removeprefix(key)) is not None,
    )
    return (half, near.index(True), len(path.parts)) if any(near) else None


def _listed(name: str) -> Path:
    """Without what IMOD adds: file.st:mrc."""
    return Path(name.partition(":")[0])


def _key(name: str) -> str:
    """What the names of its files have in them."""
    return _stem(_listed(name).name)


def _stem(name: str) -> str:
    """Without the suffixes of volumes and lists; TS_1_10.00Apx has none."""
    path = Path(name)
    known = is_volume_name(path) or path.suffix in (*_OF_LISTS, *COMPRESSED)
    return _stem(path.stem) if known else name
