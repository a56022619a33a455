"""Bytes to the service over a connection of their own, and what its answers are held to.

Each whole request has exactly one answer, an error is JSON, `{"error": "..."}`, nothing is a 500,
and then the connection ends.
"""

import json
import re
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from serving_http import post

CLASSIFY, INVOCATIONS = "/classify", "/invocations"
INFER = "/v2/models/subtomogram-student/infer"
MAX_BODY_MIB, BODY_SECONDS = 8, 5.0  # that the service is started with
PATIENCE = 60.0  # seconds, for all that a connection has to say
RESET = 0  # in place of a status: the service closed before it had read everything
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*\r\n((?:[a-z0-9-]+: [\t -~\x80-\xff]*\r\n)*)\r\n")
_LENGTH = re.compile(rb"^content-length: (\d+)\r$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """What one connection says, and what it may be told."""

    name: str
    sent: bytes
    statuses: frozenset[int]
    answers: int = 1
    leaves: bool = False  # without waiting for them


class Played(NamedTuple):
    """What became of a case."""

    name: str
    statuses: tuple[int, ...]
    seconds: float
    problem: str  # empty: it was as it should be


class Answer(NamedTuple):
    """One of the service's."""

    status: int
    head: bytes
    body: bytes


def request(path: str, body: bytes, kind: str = "application/json", **headers: str) -> bytes:
    """A whole one, after whose answer the connection ends; `headers` with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return post(path, body, kind, {"Connection": "close", **named})


def play(port: int, case: Case) -> Played:
    """Say it and listen."""
    start, reset, received = time.perf_counter(), False, b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            reset = not _sent(client, case.sent)
            for part in _parts(client) if not case.leaves else ():
                received += part
    except ConnectionResetError:
        reset = True
    except TimeoutError:
        return Played(case.name, (), PATIENCE, f"the connection does not end after {received!r}")
    statuses, problem = _judged(case, received, reset)
    return Played(case.name, statuses, time.perf_counter() - start, problem)


def play_all(port: int, cases: Iterable[Case], *, at_once: int) -> list[Played]:
    """So many at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(partial(play, port), cases))


def play_drawn(port: int, cases: SearchStrategy[Case], *, count: int, start: int) -> list[Played]:
    """About `count` that Hypothesis thinks of; `start` is its seed."""
    played: list[Played] = []

    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def ask(case: Case) -> None:
        played.append(play(port, case))

    ask()
    return played


def answers_in(received: bytes, *, bodies: bool = True) -> list[Answer]:
    """All of them but 100; without `bodies`, as to HEAD. Raises ValueError for anything else."""
    answers, rest = [], received
    while rest:
        if not (head := _HEAD.match(rest)):
            raise ValueError(f"no answer: {rest[:200]!r}")
        status, lengths = int(head[1]), _LENGTH.findall(head[2])
        if status >= 200 and len(lengths) != 1:
            raise ValueError(f"{len(lengths)} lengths in {head[0]!r}")
        end = head.end() + (int(lengths[0]) if lengths and bodies else 0)
        if len(rest) < end:
            raise ValueError(f"{len(rest)} of {end} bytes")
        if status >= 200:
            answers.append(Answer(status, head[2], rest[head.end() : end]))
        rest = rest[end:]
    return answers


def _sent(client: socket.socket, content: bytes) -> bool:
    """Whether the other side took it."""
    try:
        client.sendall(content)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _parts(client: socket.socket) -> Iterator[bytes]:
    while part := client.recv(65_536):
        yield part


def _judged(case: Case, received: bytes, reset: bool) -> tuple[tuple[int, ...], str]:
    """The statuses, and what is wrong."""
    bodies = not case.sent.startswith(b"HEAD ")
    try:
        answers = answers_in(received, bodies=bodies)
        wrong = next(filter(None, map(_wrong, answers if bodies else ())), "")
    except ValueError as error:
        return (), f"{error}"
    statuses = tuple(answer.status for answer in answers)
    if reset and len(answers) < case.answers:  # a reset connection forgets what it was told
        statuses += (RESET,)
    if not case.leaves and len(statuses) != case.answers:
        return statuses, f"{statuses} are not {case.answers} answers"
    if not case.statuses.issuperset(statuses):
        return statuses, f"{statuses} are not among {sorted(case.statuses)}: {received[-200:]!r}"
    return statuses, wrong


def _wrong(answer: Answer) -> str:
    """What is, of an error that is not JSON, or of probabilities that are none."""
    if answer.status < 400 and b"content-type: application/json" not in answer.head:
        return ""
    told = json.loads(answer.body)
    if answer.status >= 400:
        sound = set(told) == {"error"} and isinstance(told["error"], str) and told["error"]
    else:
        said = told.get("predictions", [])
        sound = all(_add_up(each) for each in said)
    return "" if sound else f"{answer.body[:200]!r}"


def _add_up(prediction: dict[str, dict[str, float]] | list[float]) -> bool:
    """As /classify or as /invocations says it."""
    if isinstance(prediction, dict):
        prediction = list(prediction["probabilities"].values())
    return abs(sum(prediction) - 1) < 1e-3 and min(prediction) >= 0
