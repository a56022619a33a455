"""Who does something and when, for the tags that tell it afterwards."""

import getpass
import os
from datetime import UTC, datetime


def who_and_when() -> tuple[str, str]:
    """User name, or `uid N` where it has none (containers); time in UTC, ISO 8601 to the second."""
    return _who(), datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # by version of Python: no entry in the password file
        return f"uid {os.getuid()}"
