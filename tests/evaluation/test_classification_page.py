"""The page as its readers meet it: parsed, with what strangers wrote in every place."""

import math
from base64 import b64decode
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from tomodistill.evaluation.classification_counts import Confidences
from tomodistill.evaluation.classification_figures import confidence_pictures, occupied
from tomodistill.evaluation.classification_page import (
    Average,
    ClassificationPage,
    Example,
    render,
)
from tomodistill.evaluation.model_facts import model_facts
from tomodistill.inference.confidence import Calibration, Unknown
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.preprocessing import Preprocessing

HOSTILE = "<script>alert('1')</script>\"><img src=x onerror=alert(1)> $x^ {{ 7 * 7 }} & Ωß"
BOX = 12
UNKNOWN = Unknown(
    score="margin",
    threshold=2.5,
    false_rejection=0.05,
    items=300,
    held_out_a=("enolase",),
    held_out_b=("rubisco", "groel"),
    candidates={"margin": 0.9},
    measured={"false_rejection": 0.04, "rejected": 0.6, "rejected_low": 0.5, "rejected_high": 0.7},
)
MANIFEST = Manifest(
    network="s3",
    role="student",
    class_names=("ribosome", HOSTILE),
    box=28,
    voxel_spacing=7.0,
    contrast="dark",
    preprocessing=Preprocessing(),
    tilt_range=(-60.0, 60.0),
    snr_range=(0.1, 0.1),
    digests={"teacher": "f" * 64},
    training={},
    metrics={"val/accuracy": 0.9, "val/accuracy_low": 0.85, "val/accuracy_high": 0.94},
    calibration=Calibration(1.5, 300, {}, {"ece": 0.031}),
    unknown=UNKNOWN,
)


@dataclass
class Parsed(HTMLParser):
    """What a browser makes of a page."""

    html: str
    tags: set[str] = field(default_factory=set)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)  # of tables
    in_row: bool = False

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
            self.in_row = True

    def handle_endtag(self, tag: str) -> None:
        self.in_row &= tag != "tr"

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.in_row and data.strip():
            self.rows[-1].append(data.strip())

    @property
    def images(self) -> list[str]:
        return [value or "" for name, value in self.attributes if name == "src"]


def cube(rng: np.random.Generator, edge: int = BOX) -> np.ndarray:
    return rng.normal(size=(edge,) * 3).astype(np.float32)


@pytest.fixture
def page(rng: np.random.Generator) -> ClassificationPage:
    """1200 particles: 800 ribosomes, 300 of a hostile class, 60 unknown, 40 not classified."""
    numbers = np.repeat([1, 2, 3, 4], [800, 300, 60, 40])
    probabilities = np.array([0.95, 0.75, 0.5, 0.0])[numbers - 1]
    scores = np.array([5.0, 4.0, 1.0, np.nan])[numbers - 1]
    confidences = Confidences(4)
    confidences.add(numbers, probabilities, scores)
    return ClassificationPage(
        title=HOSTILE,
        manifest=MANIFEST,
        names=("ribosome", HOSTILE, "unknown", "not_classified"),
        confidences=confidences,
        reasons={"outside of the tomogram": 30, HOSTILE: 10},
        sources={f"TS_{n:02d}": np.array([n, 0, 1, 0]) for n in range(60)},
        examples={2: [Example(HOSTILE, 0.75, cube(rng)), Example("7@a.mrcs", 0.75, cube(rng))]},
        averages={1: Average(cube(rng), 200)},
        warnings=[HOSTILE],
        timed=1000,
        wall=4.0,
        seconds={"read": 1.5, HOSTILE: 6.0},
        model={"name": HOSTILE},
        settings={"particles": HOSTILE},
        software={"numpy": "2.4"},
        digests={HOSTILE: "ab" * 32},
    )


def test_what_strangers_wrote_stays_text(page: ClassificationPage) -> None:
    shown = Parsed(render(page))
    assert not shown.tags & {"script", "iframe", "link", "object"}
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    assert all(source.startswith("data:image/") for source in shown.images)
    text = "".join(shown.text)
    assert text.count(HOSTILE) == 13  # wherever it was given; title and name of a class again


def test_counts_shares_and_confidences_are_those_of_the_particles(
    page: ClassificationPage,
) -> None:
    rows = Parsed(render(page)).rows
    assert ["1", "ribosome", "800", "66.7%", "0.950", "100.0%"] in rows
    assert ["2", HOSTILE, "300", "25.0%", "0.750", "0.0%"] in rows
    assert ["4", "not_classified", "40", "3.3%", "–", "–"] in rows
    assert ["outside of the tomogram", "30"] in rows
    text = " ".join("".join(Parsed(render(page)).text).split())
    assert "1,200particles 1,160classified 60of these unknown 40not classified 250particles" in text


def test_a_list_of_many_tomograms_is_cut_and_summed(page: ClassificationPage) -> None:
    rows = Parsed(render(page)).rows
    listed = [row for row in rows if row and row[0].startswith("TS_")]
    assert listed[0] == ["TS_59", "60", "59", "·", "1", "·"]
    assert len(listed) == 50
    assert ["10 others", "55", "45", "·", "10", "·"] in rows


def test_one_picture_for_each_thing_that_there_is(page: ClassificationPage) -> None:
    images = Parsed(render(page)).images
    kinds = [image.partition(";")[0] for image in images]
    assert kinds == ["data:image/svg+xml"] * 3 + ["data:image/jpeg"] * 3  # of classes; 2 and 1
    image = imread(BytesIO(b64decode(images[3].partition(",")[2])), format="jpeg")
    assert image.shape[:2] == (BOX, 2 * BOX + 1)


def test_a_page_of_many_classes_stays_small(
    page: ClassificationPage, rng: np.random.Generator
) -> None:
    confidences = Confidences(27)
    scores = rng.normal(9, 3, 20_000)
    confidences.add(rng.integers(1, 28, 20_000), rng.random(20_000), scores)
    volume = cube(rng, 40)  # noise of full band, which no network sees: the worst case
    many = replace(
        page,
        names=(*(f"class_{n}" for n in range(25)), "unknown", "not_classified"),
        confidences=confidences,
        examples={n: [Example("id" * 40, 0.9, volume)] * 8 for n in range(1, 27)},
        averages={n: Average(volume, 200) for n in range(1, 27)},
        sources={f"TS_{n}": np.full(27, n) for n in range(60)},
    )
    assert len(render(many)) < 3e6


def test_a_model_that_rejects_nothing_says_so(page: ClassificationPage) -> None:
    decided = Confidences(3)
    decided.add(np.array([1, 1, 2]), np.array([0.9, 0.8, 0.7]), None)
    bare = replace(
        page,
        manifest=replace(MANIFEST, unknown=None, calibration=None),
        names=("ribosome", "p97", "not_classified"),
        confidences=decided,
        sources={},
        examples={},
        averages={},
    )
    text = "".join(Parsed(render(bare)).text)
    assert "This model rejects nothing" in text
    assert "no calibration" in text
    assert not [word for word in ("averages\n", "Examples\n", "dashed line") if word in text]


def test_the_threshold_stands_on_an_axis_that_all_scores_share(page: ClassificationPage) -> None:
    edges, counts = occupied(page.confidences, -3.0)
    assert edges[0] <= -3 < 5 < edges[-1]
    assert len(edges) <= 70
    assert counts.sum(axis=1).tolist() == [800, 300, 60, 0]
    for row, score in enumerate((5.0, 4.0, 1.0)):
        at = counts[row].argmax()
        assert edges[at] <= score < edges[at + 1]
    drawn = confidence_pictures(page.confidences, score="margin", threshold=2.5)
    svg = b64decode(drawn[0].partition(",")[2]).decode()
    assert "score (margin)" in svg
    assert drawn == confidence_pictures(page.confidences, score="margin", threshold=2.5)


def test_facts_of_a_model_are_those_of_its_manifest() -> None:
    facts = model_facts(replace(MANIFEST, snr_range=(math.nan, math.nan)))
    assert facts["tilt range in training"] == "−60° to 60°"
    assert facts["SNR in training"] == "not known"
    assert facts["validation accuracy"] == "90.0% (95 %: 85.0% to 94.0%)"
    assert facts["calibration"] == "temperature 1.50 from 300 items, error (ECE) 0.031"
    assert facts["unknown"] == "score margin below 2.5"
    assert facts["known called unknown"] == "4.0% of the test part"
    assert facts["unknown called unknown"] == (
        "60.0% (95 %: 50.0% to 70.0%) of held-out rubisco, groel"
    )
    assert facts["teacher digest"] == "f" * 16
