from pathlib import Path

import pytest

from serving import tokens
from serving.tokens import Tokens
from tomodistill.errors import InputError

FIRST, SECOND = "first-token-of-the-lab", "second_token/of+the~lab=="


@pytest.fixture
def path(tmp_path) -> Path:
    return written(tmp_path / "tokens", f"# the lab's\n{FIRST}  # Ada\n\n{SECOND}\n")


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_several_hold_and_nothing_else(path):
    held = Tokens(path, flag="tokens")
    assert held.hold(FIRST.encode())
    assert held.hold(SECOND.encode())
    for other in (b"", FIRST[:-1].encode(), FIRST.encode() + b" ", b"Ada", b"# the lab's"):
        assert not held.hold(other)


def test_every_token_is_compared_whichever_is_given(path, monkeypatch):
    compared = []
    monkeypatch.setattr(tokens, "compare_digest", lambda *pair: bool(compared.append(pair)))
    held = Tokens(path, flag="tokens")
    for given in (FIRST.encode(), b"short"):
        held.hold(given)
    assert len(compared) == 4
    assert {len(digest) for pair in compared for digest in pair} == {32}


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o777])
def test_a_file_that_others_may_read_is_refused(path, mode):
    path.chmod(mode)
    with pytest.raises(InputError, match=f"admin_tokens: .* with mode {mode:o}.* chmod 600"):
        Tokens(path, flag="admin_tokens")


@pytest.mark.parametrize("wrong", ["short", "with a space in between", "ümlaut-umlaut-umlaut"])
def test_what_is_no_token_is_named_by_its_line_and_not_repeated(path, wrong):
    written(path, f"{FIRST}\n{wrong}\n")
    with pytest.raises(InputError, match="line 2 of") as refused:
        Tokens(path, flag="tokens")
    assert wrong not in str(refused.value)
    assert FIRST not in str(refused.value)


def test_no_file_and_no_token_are_refused(path):
    with pytest.raises(InputError, match="none in"):
        Tokens(written(path, "# nobody\n"), flag="tokens")
    with pytest.raises(InputError, match=r"No such file.*change tokens=FILE\."):
        Tokens(path.with_name("nothing"), flag="tokens")


def test_tokens_change_without_a_restart(path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="serving")
    held = Tokens(path, flag="tokens")
    written(path, f"{SECOND}\n")
    assert held.hold(FIRST.encode())  # it looks once a second, no more
    monkeypatch.setattr(tokens, "_LOOK_SECONDS", 0.0)
    assert not held.hold(FIRST.encode())
    assert held.hold(SECOND.encode())
    path.chmod(0o644)
    assert held.hold(SECOND.encode())
    path.unlink()
    assert held.hold(SECOND.encode())
    assert held.hold(SECOND.encode())
    assert "1 tokens hold now" in caplog.text
    assert caplog.text.count("the tokens from before still hold") == 2
    assert SECOND not in caplog.text
