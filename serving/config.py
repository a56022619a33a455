"""How the service runs."""

from dataclasses import dataclass
from pathlib import Path

from serving.logs import FORMS
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.inference.choice import check_choice
from tomodistill.inference.confidence import TRAINED, stated_priors
from tomodistill.scales import AUTO

_MIB = 2**20  # bytes
_NONE = "none"


@dataclass(frozen=True)
class ServiceConfig:
    """What to serve, where, and how much to accept."""

    model: str = "models:/subtomogram-student@production"  # an alias, a stage or a version
    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free one
    hosts: str = AUTO  # names to be called by, as "a.org,gpu1"; "*": any; auto: this machine's
    tokens: str = _NONE  # file of bearer tokens, one a line; none: whoever reaches it may use it
    admin_tokens: str = _NONE  # file of the tokens of those who may also administer
    poll_seconds: float = 5.0  # between two looks at what `model` points to
    registry_seconds: float = 10.0  # for the registry to say so
    max_body_mib: int = 256  # of one request
    body_seconds: float = 60.0  # for one body to arrive
    deadline_seconds: float = 30.0  # for a request to be computed; one may ask for less
    queue: int = 2048  # volumes inside at a time, before others are refused
    connections: int = 4096  # open at a time, before others are answered 503
    drain_seconds: float = 0.0  # told to stop, not ready but still serving, for load balancers
    log: str = "text"  # errors and what was slow, to read; "json": every request, to collect
    # "trained", or the share of each class that the user expects, as "ribosome:0.6,p97:0.1"; the
    # others share the rest. A simulated set holds as many of each class, a cell does not.
    priors: str = TRAINED
    engine: str = AUTO  # "keras" or "openvino"; auto: Keras on a GPU, else OpenVINO
    precision: str = AUTO  # "float32", "bfloat16", "float16"; auto: the fastest whose gate passed
    cache: str = AUTO  # folder of downloaded versions; auto: that of the other entry points

    def __post_init__(self) -> None:
        _check(0 <= self.port <= 65535, "a port from 0 to 65535", self.port)
        for name in ("max_body_mib", "queue", "connections"):
            _check(getattr(self, name) >= 1, f"{name} of 1 or more", getattr(self, name))
        for name in ("poll_seconds", "registry_seconds", "body_seconds", "deadline_seconds"):
            value = getattr(self, name)
            _check(0 < value < float("inf"), f"{name} above zero", value)
        _check(0 <= self.drain_seconds < float("inf"), "drain_seconds from 0", self.drain_seconds)
        _check(self.log in FORMS, f"log={' or '.join(FORMS)}", self.log)
        for name in ("model", "host", "hosts", "tokens", "admin_tokens", "cache"):
            _check(bool(getattr(self, name)), f"a {name}", "nothing")
        stated_priors(self.priors)
        check_choice(engine=self.engine, precision=self.precision)

    @property
    def token_files(self) -> dict[str, Path]:
        """Flag -> file of tokens, of those that are given."""
        given = {name: getattr(self, name) for name in ("tokens", "admin_tokens")}
        return {name: Path(path) for name, path in given.items() if path != _NONE}

    @property
    def cache_folder(self) -> Path:
        """Where downloaded versions lie."""
        return places.models() if self.cache == AUTO else Path(self.cache)

    @property
    def shares(self) -> dict[str, float] | None:
        """Class -> share, of the classes that are named; None: as trained."""
        return stated_priors(self.priors)

    @property
    def max_body_bytes(self) -> int:
        """The largest body that is read, in bytes."""
        return self.max_body_mib * _MIB


def _check(holds: bool, expected: str, found: object) -> None:
    if not holds:
        raise InputError(expected=expected, found=f"{found}", todo="Change it.")
