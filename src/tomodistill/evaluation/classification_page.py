"""The report of a bulk classification: one page that needs no network, no script, no other file.

Whatever strangers wrote (ids, class names, paths) is escaped by the template.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from tomodistill.evaluation.classification_counts import BINS, Confidences
from tomodistill.evaluation.classification_figures import (
    confidence_pictures,
    reach,
    slices_picture,
)
from tomodistill.evaluation.model_facts import model_facts
from tomodistill.inference.version import Manifest

SHOWN = 8  # examples of each class
MOST_SOURCES = 50  # lists or tomograms with a row of their own
CONFIDENT = 0.9
_TEMPLATE = "classification_page.html"


@dataclass(frozen=True)
class Example:
    """One particle to be looked at."""

    id: str
    probability: float
    volume: NDArray[np.float32]  # (d, d, d) as the network sees it


@dataclass(frozen=True)
class Average:
    """The mean of some particles of a class."""

    volume: NDArray[np.float32]  # (d, d, d)
    items: int


@dataclass(frozen=True)
class ClassificationPage:
    """All that the page shows; class numbers count from 1, in the order of `names`."""

    title: str
    manifest: Manifest
    names: tuple[str, ...]  # as `Classified.names`: the last is "not_classified"
    confidences: Confidences
    reasons: Mapping[str, int]  # why particles were not classified -> how many
    sources: Mapping[str, NDArray[np.int64]]  # list or tomogram -> (classes,) counts
    examples: Mapping[int, Sequence[Example]]  # class number -> at most SHOWN
    averages: Mapping[int, Average]  # class number -> mean; empty where no list has angles
    warnings: Sequence[str]  # what was assumed, padded, set aside: a sentence each
    timed: int  # particles that were classified within `wall`
    wall: float  # s that the job's runs took
    seconds: Mapping[str, float]  # step -> s, of all workers together
    model: Mapping[str, str] = field(default_factory=dict)  # name, version, digest, teacher, ...
    settings: Mapping[str, str] = field(default_factory=dict)  # flag -> value
    software: Mapping[str, str] = field(default_factory=dict)  # name -> version
    digests: Mapping[str, str] = field(default_factory=dict)  # of what -> sha256


class _Class(NamedTuple):
    """A row of the table of classes, and what is shown of it further down."""

    number: int
    name: str
    particles: int
    share: float  # of all particles
    mean: float | None  # probability; None: none was decided so
    confident: float | None  # share with a probability of CONFIDENT or more
    histogram: str  # a picture, as the others; "" for none
    examples: list[tuple[Example, str]]
    average: tuple[Average, str] | None


def render(page: ClassificationPage) -> str:
    """The HTML of a page."""
    environment = Environment(
        loader=PackageLoader("tomodistill.evaluation", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": "{:.1%}".format, "whole": "{:,.0f}".format}
    return environment.get_template(_TEMPLATE).render(
        page=page,
        classes=_classes(page),
        sources=_sources(page.sources),
        facts={**page.model, **model_facts(page.manifest)},
        confident=CONFIDENT,
        unknown=page.manifest.unknown,
        calibration=page.manifest.calibration,
    )


def _classes(page: ClassificationPage) -> list[_Class]:
    unknown = page.manifest.unknown
    score, threshold = (unknown.score, unknown.threshold) if unknown else ("", None)
    histograms = confidence_pictures(page.confidences, score=score, threshold=threshold)
    counts = page.confidences.counts
    total, white = max(counts.sum(), 1), _white(page)
    return [
        _Class(
            number,
            name,
            particles=int(counts[number - 1]),
            share=float(counts[number - 1] / total),
            **_confidence(page, number, histograms[number - 1]),
            examples=[
                (each, slices_picture(each.volume, white)) for each in page.examples.get(number, ())
            ],
            average=_with_picture(page.averages.get(number)),
        )
        for number, name in enumerate(page.names, 1)
    ]


def _confidence(page: ClassificationPage, number: int, histogram: str) -> dict[str, Any]:
    """What is known where something was decided."""
    of, at = page.confidences, number - 1
    if number == len(page.names) or not of.counts[at]:
        return {"mean": None, "confident": None, "histogram": ""}
    confident = of.probabilities[at, round(CONFIDENT * BINS) :].sum() / of.counts[at]
    return {"mean": of.mean_probabilities[at], "confident": confident, "histogram": histogram}


def _white(page: ClassificationPage) -> float:
    """One grey scale for all examples, so that they can be compared."""
    return reach(each.volume for of in page.examples.values() for each in of)


def _with_picture(average: Average | None) -> tuple[Average, str] | None:
    if average is None:
        return None
    return average, slices_picture(average.volume, reach([average.volume]))


def _sources(counts: Mapping[str, NDArray[np.int64]]) -> dict[str, list[int]]:
    """The largest, MOST_SOURCES of them; the others summed."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1].sum(), item[0]))
    shown, rest = ordered[:MOST_SOURCES], ordered[MOST_SOURCES:]
    rows = {name: of.tolist() for name, of in shown}
    if rest:
        rows[f"{len(rest)} others"] = np.sum([of for _, of in rest], axis=0).tolist()
    return rows
