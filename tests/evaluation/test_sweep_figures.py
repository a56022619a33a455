import numpy as np
import pytest
from matplotlib.collections import PathCollection

from tomodistill.evaluation.sweep import CONTROL, Settings, Trial, choices
from tomodistill.evaluation.sweep_figures import temperature_figure, transfer_figure
from tomodistill.evaluation.table import Interval


def trials(loss, temperature, transfer, items, accuracies):
    settings = Settings(loss, temperature, transfer, items)
    return [
        Trial(settings, seed, Interval(value, value, value), 300, 0.5)
        for seed, value in enumerate(accuracies)
    ]


FOUND = choices(
    [
        *trials(CONTROL, None, "none", 0, (0.5, 0.6)),
        *trials("hinton", 10.0, "none", 0, (0.8, 0.9)),
        *trials("hinton", 2.0, "none", 0, (0.7, 0.7)),
        *trials("logits", None, "none", 0, (0.6, 0.7)),
        *trials("hinton", 10.0, "800", 800, (0.9, 0.9)),
        *trials("hinton", 2.0, "800", 800, (0.95, 0.97)),
        *trials("logits", None, "800", 800, (0.7, 0.7)),
        *trials("hinton", 10.0, "200", 200, (0.9, 0.8)),
        *trials("hinton", 2.0, "200", 200, (0.7, 0.6)),
        *trials("logits", None, "200", 200, (0.6, 0.6)),
    ]
)


def lines(axes):
    """Label -> (x, means) of each line with error bars."""
    drawn = {bars.get_label(): bars.lines[0].get_xydata().T for bars in axes.containers}
    return {label: (np.round(x), y) for label, (x, y) in drawn.items()}


def ticks(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def test_accuracy_against_temperature_has_a_panel_for_each_transfer_set():
    none, many, few = temperature_figure(FOUND).axes
    assert [axes.get_title() for axes in (none, many, few)] == [
        "transfer none",
        "transfer 800",
        "transfer 200",
    ]
    assert ticks(none) == ["2", "10", "no T"]
    found = lines(none)
    assert list(found) == ["hinton", "logits", CONTROL]
    np.testing.assert_allclose(found["hinton"], [[0, 1], [0.7, 0.85]])  # by temperature
    np.testing.assert_allclose(found["logits"], [[2], [0.65]])
    np.testing.assert_allclose(lines(few)["hinton"][1], [0.65, 0.85])


def test_the_control_stands_in_every_panel():
    for axes in temperature_figure(FOUND).axes:
        np.testing.assert_allclose(lines(axes)[CONTROL], [[2], [0.55]])
        dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert [line.get_ydata()[0] for line in dotted] == pytest.approx([0.55])


def test_every_seed_is_a_point_on_its_line():
    axes = temperature_figure(FOUND[:2]).axes[0]
    seeds = [drawn for drawn in axes.collections if isinstance(drawn, PathCollection)]
    points = [tuple(dots.get_offsets()[:, 1]) for dots in seeds]
    assert sorted(points) == [(0.5, 0.6), (0.8, 0.9)]
    assert axes.get_title() == ""  # one transfer set needs no name


def test_accuracy_against_transfer_size_takes_each_loss_at_its_best_temperature():
    axes = transfer_figure(FOUND).axes[0]
    assert ticks(axes) == ["none", "200", "800"]
    np.testing.assert_allclose(axes.get_xticks(), [0, 1, 3])  # octaves above the smallest
    found = lines(axes)
    assert set(found) == {"hinton, T = 10", "logits", CONTROL}  # 0.867 over all, T = 2: 0.770
    np.testing.assert_allclose(found["hinton, T = 10"], [[0, 1, 3], [0.85, 0.85, 0.9]])
    np.testing.assert_allclose(found["logits"][1], [0.65, 0.6, 0.7])
