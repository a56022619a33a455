"""Entries of the PDB archive, fetched once into a folder and checked whenever they are read.

Beside `1kp8.cif.gz` lies `1kp8.cif.gz.sha256`, as `sha256sum -c` reads it. A file put there by
hand needs none: its content is checked once instead.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import time
import uuid
import zlib
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import gemmi

from tomodistill import places
from tomodistill.errors import InputError

ARCHIVE = "https://files.rcsb.org/download"  # serves ID.cif.gz
VARIABLE = "TOMODISTILL_PDB_MIRROR"  # environment: another address that does
TIMEOUT = 30.0  # seconds without a byte
LONGEST = 600.0  # seconds for one file, however steadily it drips
LARGEST = 2**28  # bytes of one compressed file; whole virus capsids have a third of it
LARGEST_UNPACKED = 2**31  # bytes of one file: what is longer was made to fill a disk or memory
PAUSES = (1.0, 4.0)  # seconds before the second and the third attempt
CHUNK = 2**20  # bytes
UNKNOWN = (404, 410)
PASSING = (408, 425, 429)  # beside 500 and above: may go away by itself


class _PassingError(Exception):
    """What another attempt may not meet again."""


class _Redirects(HTTPRedirectHandler):
    """Follows to https, and from http also to http; what it leaves becomes an HTTPError."""

    def http_error_302(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> HTTPResponse | None:
        with suppress(ValueError):  # of an address that no server can have
            scheme = urlsplit(urljoin(req.full_url, headers.get("Location", ""))).scheme
            if scheme in ("https", req.type):
                return super().http_error_302(req, fp, code, msg, headers)
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def entry_id(text: str) -> str:
    """The lower-case id of an entry: "1kp8" of "1KP8" and of "pdb_00001kp8".

    Raises InputError for what is no id.
    """
    entry = re.sub("^pdb_0000", "", text.strip().lower())
    if re.fullmatch(r"[1-9][a-z0-9]{3}|pdb_[a-z0-9]{8}", entry):
        return entry
    raise InputError(
        expected="ids of PDB entries, such as 1KP8 or pdb_00001kp8",
        found=repr(text),
        todo="Give structures=pdb:ID,ID,... with ids that the archive lists.",
    )


def entry_file(entry: str, *, cache: Path) -> Path:
    """The mmCIF file (gzip) of an entry in `cache`, fetched if it is not there and whole.

    Raises InputError for an entry that the archive does not have, an archive that cannot be
    reached or gives no usable file, and a cache that cannot be written.
    """
    path = cache / f"{entry}.cif.gz"
    fault = _fault(path, entry)
    if fault:
        _fetch(entry, path, fault)
    return path


def gather(entries: Iterable[str], *, cache: Path) -> None:
    """Fetch every entry that `cache` lacks, so that one at fault is told before any is read."""
    for entry in entries:
        entry_file(entry, cache=cache)


def address() -> str:
    """Where ID.cif.gz is served. Raises InputError if TOMODISTILL_PDB_MIRROR is no address."""
    named = os.environ.get(VARIABLE) or ARCHIVE
    if named.startswith(("http://", "https://")):
        return named.rstrip("/")
    raise InputError(
        expected=f"an address that starts with https:// or http:// in {VARIABLE}",
        found=named,
        todo=f"Unset it to use {ARCHIVE}; files on disk are given as structures=FOLDER.",
    )


def _fetch(entry: str, path: Path, fault: str) -> None:
    url = f"{address()}/{path.name}"
    places.writable(path.parent)
    for pause in (0.0, *PAUSES):
        time.sleep(pause)
        try:
            _store(_download(url, entry), path, entry)
            return
        except _PassingError as error:
            reason = str(error)
    raise InputError(
        expected=f"PDB entry {entry} from {url}, or in {path}",
        found=f"{reason} ({len(PAUSES) + 1} attempts); the file: {fault}",
        todo=f"Try later or set {VARIABLE} to another server. Without a network put {path.name} "
        f"into {path.parent} (and remove {_digest_path(path).name} there, if it exists), or give "
        "structures=FOLDER.",
    )


def _download(url: str, entry: str) -> bytes:
    try:
        request = Request(url, headers={"User-Agent": "tomodistill"})
        with build_opener(_Redirects).open(request, timeout=TIMEOUT) as response:
            return _body(response)
    except HTTPError as error:
        error.close()
        raise _refused(error, entry) from error
    except TimeoutError as error:
        raise _PassingError("no answer in time") from error
    except InputError:
        raise
    except ValueError as error:  # the same of ours
        raise _barred(url, entry, str(error)) from error
    except (HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise _PassingError(f"the archive cannot be reached ({reason})") from error


def _body(response: HTTPResponse) -> bytes:
    end = time.monotonic() + LONGEST
    received = bytearray()
    while chunk := response.read1(CHUNK):
        received += chunk
        if len(received) > LARGEST or time.monotonic() > end:
            raise InputError(
                expected=f"at most {LARGEST} bytes within {LONGEST:g} s from {response.url}",
                found=f"{len(received)} bytes, and more to come",
                todo="Leave the entry out, or fetch it otherwise and give structures=FOLDER.",
            )
    if response.length:  # what was announced and has not come
        raise _PassingError(f"an answer cut short by {response.length} bytes")
    return bytes(received)


def _refused(error: HTTPError, entry: str) -> Exception:
    code, url = error.code, error.url
    if code in PASSING or code >= 500:
        return _PassingError(f"the archive answers HTTP {code}")
    if code in UNKNOWN:
        return InputError(
            expected="ids of entries that the PDB archive has",
            found=f"{entry!r}: no such entry ({url} answers HTTP {code})",
            todo="Check the id; an obsolete entry has a successor under another one.",
        )
    target = error.headers.get("Location")
    redirect = f", a redirect to {target} that is not followed" if target else ""
    return _barred(url, entry, f"HTTP {code}{redirect}")


def _barred(url: str, entry: str, reason: str) -> InputError:
    unset = "unset it, or " if os.environ.get(VARIABLE) else ""
    return InputError(
        expected=f"PDB entry {entry} from {url}",
        found=reason,
        todo=f"In {VARIABLE}: {unset}name a server that lets you in. A proxy between may be what "
        "does not: ask whoever runs it. Or fetch the file otherwise and give structures=FOLDER.",
    )


def _store(body: bytes, path: Path, entry: str) -> None:
    """Put a fetched file in its place, if it is whole and the entry that was asked for."""
    partial = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        partial.write_bytes(body)
        fault = _content_fault(partial, entry)
        if fault:
            raise _PassingError(f"the archive gives {fault}")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _write_digest(path)


def _fault(path: Path, entry: str) -> str:
    """What is wrong with a file of the cache; empty if nothing is."""
    if not path.is_file():
        return "not there"
    if _digest_path(path).is_file():
        same = _digest_path(path).read_bytes().split()[:1] == [_digest(path).encode()]
        return "" if same else "changed since it was fetched"
    fault = _content_fault(path, entry)
    if not fault:
        with suppress(OSError):  # a cache that may only be read
            _write_digest(path)
    return fault


def _content_fault(path: Path, entry: str) -> str:
    try:
        _unpack(path, entry)
        structure = gemmi.read_structure(str(path))
    except InputError:
        raise
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error) as error:
        return f"a damaged file ({error})"
    named = dict(structure.info.items()).get("_entry.id", "unnamed")
    if re.sub("^pdb_0000", "", named.lower()) != entry:
        return f"another entry ({named})"
    return "" if len(structure) else "an entry without atoms"


def _unpack(path: Path, entry: str) -> None:
    """Read a file to its end, where the checksum is: gemmi leaves it unread, and has no limit."""
    size = 0
    with gzip.open(path) as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            if size > LARGEST_UNPACKED:
                raise InputError(
                    expected=f"at most {LARGEST_UNPACKED} bytes in the unpacked file of {entry}",
                    found=f"{size} bytes, and more to come",
                    todo="Leave the entry out, or give a smaller file of it as structures=FOLDER.",
                )


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write_digest(path: Path) -> None:
    _digest_path(path).write_text(f"{_digest(path)}  {path.name}\n")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
