"""Clients in a closed loop, in a process of their own, whose every request is accounted for.

    python benchmarks/serving_clients.py QUESTIONS.npz ANSWERED PORT CLIENTS

Each sends one volume, waits for the answer, holds its numbers against those of the version that
it names, and sends the next; until standard input ends. What became of each request lies in the
file ANSWERED, one record of `RECORD` after the other. Neighbours in time differ in their volumes:
an answer too many, or to another, has the wrong numbers.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, FileIO
from pathlib import Path
from typing import Self

import numpy as np
import orjson
from numpy.typing import NDArray
from serving_http import post, run

# What became of a request: a sound answer; one that is not; none, or not the whole of it; nobody
# was there to send it to.
RIGHT, WRONG, LOST, REFUSED = range(4)
RECORD = np.dtype(
    [("sent", "f8"), ("ended", "f8"), ("status", "i4"), ("version", "i4"), ("outcome", "i4")]
)  # seconds of time.monotonic, which processes share; 0 where there is no such thing
TOLERANCE = 1e-3  # of a probability
PATIENCE = 60.0  # seconds for an answer
_USUAL = (200, 503)  # statuses of which nothing more is said
_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Questions:
    """Volumes, and what each version says of them."""

    volumes: NDArray[np.float32]  # (n, d, d, d)
    class_names: tuple[str, ...]
    probabilities: Mapping[int, NDArray[np.float32]]  # version -> (n, classes)

    def write(self, path: Path) -> None:
        """As one file."""
        versions = {f"{version}": said for version, said in self.probabilities.items()}
        np.savez(path, volumes=self.volumes, class_names=self.class_names, **versions)

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        with np.load(path) as file:
            versions = {int(name): file[name] for name in file.files if name.isdecimal()}
            return cls(file["volumes"], tuple(map(str, file["class_names"])), versions)

    def requests(self) -> list[bytes]:
        """One for each volume."""
        return [post("/classify", npy(of), "application/octet-stream") for of in self.volumes]

    def judge(self, number: int, status: int, body: bytes) -> tuple[int, int]:
        """The version that answered volume `number`, 0 if it is an error, and the outcome."""
        try:
            told = orjson.loads(body)
            if status != 200:
                return 0, RIGHT if told["error"] else WRONG
            version, (answer,) = int(told["model"]["version"]), told["predictions"]
            got = [answer["probabilities"][name] for name in self.class_names]
            difference = np.abs(np.subtract(got, self.probabilities[version][number])).max()
        except (LookupError, TypeError, ValueError):  # whatever is wrong with it
            return 0, WRONG
        return version, RIGHT if difference <= TOLERANCE else WRONG


def npy(volumes: NDArray[np.float32]) -> bytes:
    """The file of a stored volume (d, d, d), or of a stack of them."""
    stream = BytesIO()
    np.save(stream, volumes)
    return stream.getvalue()


class Load:
    """What became of requests so far, in a file that the clients' process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        return self._path.stat().st_size // RECORD.itemsize

    def records(self, start: int = 0) -> NDArray[np.void]:
        """(requests,) of dtype `RECORD`, in the order in which they ended, from `start` on."""
        size = RECORD.itemsize
        return np.fromfile(self._path, RECORD, count=len(self) - start, offset=start * size)


@contextmanager
def asking(port: int, questions: Questions, *, clients: int, folder: Path) -> Iterator[Load]:
    """So many clients ask for as long as the block lasts; whoever waits at its end is answered."""
    told, answered = folder / "questions.npz", folder / "answered"
    questions.write(told)
    answered.write_bytes(b"")
    command = [sys.executable, __file__, told, answered, port, clients]
    process = subprocess.Popen([f"{word}" for word in command], stdin=subprocess.PIPE)
    try:
        yield Load(answered)
    finally:
        process.communicate(timeout=2 * PATIENCE)
    if process.returncode:
        raise RuntimeError(f"the clients ended with {process.returncode}")


async def _clients(questions: Questions, path: Path, port: int, clients: int) -> None:
    told = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    with path.open("ab", buffering=0) as file:
        numbers = [client * len(questions.volumes) // clients for client in range(clients)]
        await asyncio.gather(*(_client(n, port, questions, file, told) for n in numbers))


async def _client(
    number: int, port: int, questions: Questions, file: FileIO, told: "asyncio.Future[str]"
) -> None:
    """One question after the other, from `number` on, until it is `told` to end.

    Whoever got no sound answer tries again after a pause.
    """
    requests = questions.requests()
    connection = Connection(port)
    while not told.done():
        number, sent = (number + 1) % len(requests), time.monotonic()
        version, status, outcome = 0, 0, REFUSED
        try:
            await connection.open()
            outcome = LOST
            async with asyncio.timeout(PATIENCE):
                status, body = await connection.ask(requests[number])
            version, outcome = questions.judge(number, status, body)
            if outcome == WRONG or status not in _USUAL:
                print(f"to volume {number}: {status} {body[:300]!r}", file=sys.stderr)
        except (EOFError, OSError, TimeoutError):
            connection.close()
        record = (sent, time.monotonic(), status, version, outcome)
        file.write(np.array(record, RECORD).tobytes())
        if status != 200:
            await asyncio.sleep(_PAUSE)


class Connection:
    """Kept, and opened again when it was closed; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Raises OSError if nobody is there."""
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises EOFError or OSError if the connection ends before."""
        assert self._streams
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return int(head.split()[1]), body

    def close(self) -> None:
        """Another is opened for the next request."""
        if self._streams:
            self._streams[1].close()
        self._streams = None


if __name__ == "__main__":
    questions, answered = Questions.read(Path(sys.argv[1])), Path(sys.argv[2])
    run(_clients(questions, answered, int(sys.argv[3]), int(sys.argv[4])))
