"""Which fast students a search tries: the table's own first, then what a sampler proposes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from tomodistill.errors import InputError
from tomodistill.networks.build import build, gflop
from tomodistill.networks.fast import Fast
from tomodistill.networks.table import FAST, check_box, network

REFERENCE = "dsrf3d_v2"  # the paper's teacher
_MOST_WORK = 1 / 25  # of the reference's: what costs more takes long to train and is not fast
_AT_RANDOM = 8  # trials before the sampler learns from them
_IN_A_ROW = 1000  # proposals without a new one: there is none left
_STAGES = (1, 2, 3)
# Parameters of an architecture; a stage without convolutions is no stage.
SPACE: dict[str, BaseDistribution] = {
    "binning": FloatDistribution(1.0, 2.5, step=0.5),
    "kernel": IntDistribution(3, 7),
    "stride": IntDistribution(1, 4),
    "width": IntDistribution(8, 48, step=8),
    **{f"filters{stage}": IntDistribution(16, 128, step=16) for stage in _STAGES},
    **{f"depth{stage}": IntDistribution(0, 3) for stage in _STAGES},
}


@dataclass(frozen=True)
class Search:
    """How long to look, and for what."""

    minutes: float = 30.0  # in which trials may begin
    trials: int = 40  # at most
    search_seed: int = 0  # of what is proposed
    min_accuracy_rate: float = 0.97  # student over teacher, validation part, of the chosen one

    def __post_init__(self) -> None:
        self._check("minutes", self.minutes > 0, "above 0")
        self._check("trials", self.trials >= 1, "1 or more")
        self._check("search_seed", 0 <= self.search_seed < 2**32, "from 0 to 2³² − 1")
        self._check("min_accuracy_rate", self.min_accuracy_rate >= 0, "0 or more")

    def _check(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise InputError(
                expected=f"{name}: {expected}", found=f"{getattr(self, name)}", todo="Change it."
            )


class Proposals:
    """Names of networks to try, each once; told the same, the same follow.

    First the fast students of the table, then what a tree-structured Parzen estimator for several
    aims (Ozaki et al. 2020) expects to push the front of accuracy and speed.
    """

    def __init__(self, *, box: int, classes: int, seed: int) -> None:
        """For boxes of `box` voxels. Raises InputError if these are too small for `REFERENCE`."""
        check_box(network(REFERENCE), box)
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each trial otherwise
        sampler = TPESampler(multivariate=True, n_startup_trials=_AT_RANDOM, seed=seed)
        self._study = optuna.create_study(directions=("maximize", "maximize"), sampler=sampler)
        self._box, self._classes = box, classes
        self._first = [name for name in FAST if self._is_fast(name)]
        self._seen = {architecture(name) for name in FAST}

    def ask(self) -> str | None:
        """The next to try; None if there is none left."""
        if self._first:
            return self._first.pop(0)
        proposed = (self._propose() for _ in range(_IN_A_ROW))
        return next((fast.name for fast in proposed if self._is_new(fast)), None)

    def tell(self, name: str, *, accuracy: float, speedup: float) -> None:
        """What a network that was asked for reached."""
        params, values = parameters(architecture(name)), (accuracy, math.log(speedup))
        self._study.add_trial(create_trial(params=params, distributions=SPACE, values=values))

    def _propose(self) -> Fast:
        trial = self._study.ask(SPACE)
        self._study.tell(trial, state=TrialState.FAIL)  # closed: `tell` adds what comes of it
        return _fast(trial.params)

    def _is_new(self, fast: Fast) -> bool:
        """Whether it is worth a trial, and was not looked at before."""
        if fast in self._seen:
            return False
        self._seen.add(fast)
        return bool(fast.stages) and fast.kernel >= fast.stride and self._is_fast(fast.name)

    def _is_fast(self, name: str) -> bool:
        """Whether the box is large enough for it, and its work small beside the reference's."""
        if network(name).smallest_box > self._box:
            return False
        work = partial(_gflop, box=self._box, classes=self._classes)
        return work(name) <= _MOST_WORK * work(REFERENCE)


@cache
def _gflop(name: str, *, box: int, classes: int) -> float:
    return gflop(build(name, box=box, classes=classes))


def architecture(name: str) -> Fast:
    """A fast student by its name in the table, or by the one that says its architecture."""
    return Fast.parse(FAST.get(name, name))


def parameters(fast: Fast) -> dict[str, float]:
    """Its place in `SPACE`."""
    none = (16, 0)  # of so many filters, no convolution
    stages = (*fast.stages, *[none] * (len(_STAGES) - len(fast.stages)))
    found = {name: getattr(fast, name) for name in ("binning", "kernel", "stride", "width")}
    for stage, (filters, depth) in zip(_STAGES, stages, strict=True):
        found |= {f"filters{stage}": filters, f"depth{stage}": depth}
    return found


def _fast(params: Mapping[str, Any]) -> Fast:
    """The one at a place of `SPACE`."""
    stages = ((params[f"filters{stage}"], params[f"depth{stage}"]) for stage in _STAGES)
    return Fast(
        params["binning"],
        params["kernel"],
        params["stride"],
        params["width"],
        tuple((filters, depth) for filters, depth in stages if depth),
    )
