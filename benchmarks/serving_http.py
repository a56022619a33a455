"""A cheap client of HTTP/1.1: whole requests made beforehand, connections that stay open.

One thread drives any number of clients, so that little of a small machine is lost to the load. In a
closed loop each client asks anew once it is answered; an open one asks at its own rate, whatever
the server does, as many users do who know nothing of each other.
"""

import asyncio
import re
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
BROKEN = 0  # in place of a status: the connection ended, or PATIENCE did, without an answer
PATIENCE = 120.0  # seconds
MOST = 900  # connections of an open loop: a service has a limit of its own
KEPT = 8  # answers whose bodies are
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request; times are those of `time.perf_counter`."""

    which: int  # of the requests, which take turns
    due: float  # when it was to be sent
    started: float  # when it was
    finished: float
    status: int
    body: bytes | None  # None: not kept

    @property
    def seconds(self) -> float:
        """From the first byte sent to the last one received."""
        return self.finished - self.started


def post(path: str, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> bytes:
    """A whole request."""
    given = {"Content-Type": content_type, **(headers or {}), "Content-Length": f"{len(body)}"}
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *map(": ".join, given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(work: Coroutine[Any, Any, T]) -> T:
    """What a loop below returns."""
    return uvloop.run(work)


async def closed_loop(
    port: int, requests: Sequence[bytes], *, clients: int, seconds: float, interval: float = 0.0
) -> list[Answer]:
    """Of `clients` that ask for so many seconds, each at most once in an `interval` of them.

    Whoever then waits still gets his answer.
    """
    client, start = Client(port, requests), time.perf_counter()

    async def ask_on(first: float) -> None:
        due = first
        while due < start + seconds:
            await asyncio.sleep(due - time.perf_counter())
            await client.ask(due)
            due = max(due + interval, time.perf_counter())

    phases = (start + interval * number / clients for number in range(clients))
    await asyncio.gather(*map(ask_on, phases))
    client.close()
    return client.answers


async def open_loop(
    port: int, requests: Sequence[bytes], *, rate: float, seconds: float
) -> list[Answer]:
    """Of `rate` requests a second, evenly; later only where MOST others still wait."""
    client, start = Client(port, requests), time.perf_counter()
    room = asyncio.Semaphore(MOST)

    async def ask(due: float) -> None:
        await client.ask(due)
        room.release()

    async with asyncio.TaskGroup() as waiting:
        for number in range(round(rate * seconds)):
            due = start + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            await room.acquire()
            waiting.create_task(ask(due))
    client.close()
    return client.answers


class Client:
    """Asks over as many connections as there are questions at a time, and keeps the answers."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self.answers: list[Answer] = []
        self._port, self._requests, self._asked = port, requests, 0
        self._idle: list[_Connection] = []

    async def ask(self, due: float) -> None:
        """The next request."""
        which = self._asked % len(self._requests)
        self._asked += 1
        started = time.perf_counter()
        status, body = await self._ask(self._requests[which])
        kept = body if len(self.answers) < KEPT else None
        self.answers.append(Answer(which, due, started, time.perf_counter(), status, kept))

    def close(self) -> None:
        """All connections."""
        for connection in self._idle:
            connection.transport.abort()

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        connection = None
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await self._connection()
                answer = await connection.ask(request)
        except OSError:  # TimeoutError is one
            if connection:
                connection.transport.abort()
            return BROKEN, b""
        self._idle.append(connection)
        return answer

    async def _connection(self) -> "_Connection":
        """An idle one, if one is still open."""
        while self._idle:
            if not (connection := self._idle.pop()).transport.is_closing():
                return connection
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self._port))[1]


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport, self._received = transport, bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises ConnectionError if the connection ends first, and if it brought an answer too many.
        """
        if self._received:
            raise ConnectionError
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._answer is None or self._answer.done():
            return
        head = self._received.find(b"\r\n\r\n")
        length = _LENGTH.search(self._received, 0, head + 2) if head >= 0 else None
        if length is None or len(self._received) < (end := head + 4 + int(length[1])):
            return
        answer = int(self._received[9:12]), bytes(self._received[head + 4 : end])
        if _CLOSE.search(self._received, 0, head + 2):
            self.transport.abort()
        del self._received[:end]
        self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())
