import numpy as np
import pytest
from matplotlib.collections import PathCollection

from tomodistill.evaluation.comparison import CONTROL, Result
from tomodistill.evaluation.figures import comparison_figure, confusion_figure, curves_figure

NAMES = ("ribosome", "proteasome", "chaperonin")


def test_confusion_figure_shows_every_count_where_it_belongs() -> None:
    confusion = np.array([[5, 2, 0], [0, 7, 0], [0, 0, 0]])  # one class has no items
    axes = confusion_figure(confusion, NAMES).axes[0]
    shown = {text.get_position(): text.get_text() for text in axes.texts}
    assert shown == {(0, 0): "5", (1, 0): "2", (1, 1): "7"}  # (decided, true)
    np.testing.assert_allclose(axes.images[0].get_array()[0], [5 / 7, 2 / 7, 0])
    np.testing.assert_array_equal(axes.images[0].get_array()[2], 0)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(NAMES)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("decided", "true")


def test_curves_have_one_panel_for_each_measure() -> None:
    curves = {"train/loss": [3.0, 2.0], "val/loss": [4.0, 3.5], "train/accuracy": [0.1, 0.2]}
    panels = {axes.get_ylabel(): axes for axes in curves_figure(curves).axes}
    assert set(panels) == {"loss", "accuracy"}
    lines = {line.get_label(): line for line in panels["loss"].lines}
    np.testing.assert_array_equal(lines["val"].get_xdata(), [1, 2])  # epochs count from one
    np.testing.assert_array_equal(lines["val"].get_ydata(), [4.0, 3.5])
    np.testing.assert_array_equal(lines["train"].get_ydata(), [3.0, 2.0])


def trained(network: str, labels: str, accuracy: float, speedup: float, parameters: int) -> Result:
    metrics = {
        "test/accuracy": accuracy,
        "test/accuracy_low": accuracy - 0.02,
        "test/accuracy_high": accuracy + 0.02,
        "speedup": speedup,
        "cost/parameters": float(parameters),
    }
    role = "teacher" if network == "big" else "student"
    return Result(network, role, labels, metrics | ({CONTROL: 0.5} if role == "teacher" else {}))


def test_comparison_shows_accuracy_against_speed_and_parameters_as_area() -> None:
    results = [
        trained("big", "hard", 0.9, 1, 1000),
        trained("s3", "hard", 0.7, 4, 100),
        trained("s3", "soft", 0.8, 4, 100),
    ]
    axes = comparison_figure(results).axes[0]
    drawn = [c for c in axes.collections if isinstance(c, PathCollection)]
    bubbles = [c for c in drawn if len(c.get_offsets())]  # those of the legend are empty
    assert [tuple(b.get_offsets()[0]) for b in bubbles] == [(1, 0.9), (4, 0.7), (4, 0.8)]
    areas = [b.get_sizes()[0] for b in bubbles]
    assert areas[0] / areas[1] == pytest.approx(10)
    arrow = next(text for text in axes.texts if text.arrow_patch is not None)
    assert (arrow.xyann, arrow.xy) == ((4, 0.7), (4, 0.8))  # from hard to soft labels
    control = next(line for line in axes.lines if line.get_label() == "power spectrum alone")
    np.testing.assert_array_equal(control.get_ydata(), 0.5)
