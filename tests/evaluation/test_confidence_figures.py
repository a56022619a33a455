import numpy as np
import pytest

from tomodistill.evaluation.calibration import Bin
from tomodistill.evaluation.confidence_figures import reliability_figure, unknown_figure
from tomodistill.evaluation.table import Interval
from tomodistill.evaluation.unknown import HeldOut, learn_unknown


def test_reliability_shows_each_bin_with_its_interval_and_says_how_many_items() -> None:
    bins = [Bin(0.5, Interval(0.4, 0.2, 0.6), 30), Bin(0.9, Interval(0.7, 0.5, 0.8), 29)]
    sure = [Bin(0.9, Interval(0.4, 0.2, 0.6), 30), Bin(1.0, Interval(0.7, 0.5, 0.8), 29)]
    parts = {"validation": {"as trained": sure, "calibrated": bins}, "test": {"as trained": sure}}
    validation, test = reliability_figure(parts).axes
    assert validation.get_title() == "validation\n59 items, 2 bins of equal count"
    trained, calibrated = validation.containers
    np.testing.assert_allclose(calibrated.lines[0].get_xydata(), [(0.5, 0.4), (0.9, 0.7)])
    (bars,) = calibrated.lines[2]
    np.testing.assert_allclose(bars.get_segments()[1], [(0.9, 0.5), (0.9, 0.8)])
    assert trained.get_label() == f"as trained: error (ECE) {(30 * 0.5 + 29 * 0.3) / 59:.3f}"
    assert len(test.containers) == 1
    assert test.get_ylabel() == "accuracy, 95 % interval"


def test_scores_are_shares_beside_the_threshold(rng: np.random.Generator) -> None:
    logits = {
        name: (scale * rng.normal(size=(items, 3))).astype(np.float32)
        for name, scale, items in (("val", 5, 50), ("test", 5, 80), ("A", 1, 40), ("B", 1, 20))
    }
    unknown = learn_unknown(
        val=logits["val"],
        test=logits["test"],
        a=HeldOut(("a",), logits["A"]),
        b=HeldOut(("b",), logits["B"]),
        temperature=1.0,
        false_rejection=0.1,
    )
    scores = {name: unknown.scores(of, temperature=1.0) for name, of in logits.items()}
    of_scores, of_roc = unknown_figure(scores, unknown).axes
    (line,) = of_scores.lines
    np.testing.assert_array_equal(line.get_xdata(), unknown.threshold)
    labels = [text.get_text() for text in of_scores.get_legend().get_texts()]
    rejected = unknown.measured["rejected"]
    assert labels[2] == f"held out, B: 20 items, {rejected:.1%} rejected"
    for patch in of_scores.patches:  # outlines, there and back
        heights = patch.get_xy()[:, 1]
        assert heights[1 : 2 * 30 : 2].sum() == pytest.approx(1)
    curve = next(line for line in of_roc.lines if "B: area" in line.get_label())
    x, y = curve.get_xydata().T
    assert np.trapezoid(y, x) == pytest.approx(unknown.measured["auc_b"])
