import getpass
import os
from datetime import UTC, datetime, timedelta

import pytest

from tomodistill.tracking.audit import who_and_when


def test_the_user_and_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    by, at = who_and_when()
    assert by == "ada"
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(at) < timedelta(minutes=1)


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def nameless() -> str:
        raise error("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    by, _ = who_and_when()
    assert by == f"uid {os.getuid()}"
