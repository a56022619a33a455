"""What a result was made from: digests of inputs, configuration and source, and the git commit."""

import hashlib
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]


def phase_digest(*, packages: tuple[str, ...], **inputs: Any) -> str:
    """sha256 over the inputs of a phase and the source of the packages and modules that compute it.

    `inputs` are strings, numbers or configuration dataclasses. Same digest, same result.
    """
    content = {"inputs": inputs, "source": {name: _source_digest(name) for name in packages}}
    text = json.dumps(content, sort_keys=True, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()


def git_tags() -> dict[str, str]:
    """Commit of the checkout and whether it has changes.

    Empty where that cannot be known: no git, no checkout, a checkout of another user, or an
    archive unpacked in the repository of something else.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None or not _git("ls-files", "."):
        return {}
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower()}


def _source_digest(package: str) -> str:
    """Of a package, or of one module: "evaluation/accuracy"."""
    content = hashlib.sha256()
    whole = PACKAGE / package
    for path in sorted(whole.rglob("*.py")) or [whole.with_suffix(".py")]:
        content.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return content.hexdigest()


def _git(*arguments: str) -> str | None:
    """Output of a git command in the checkout; None where it fails."""
    command = ("git", "--no-optional-locks", "-C", str(PACKAGE), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
