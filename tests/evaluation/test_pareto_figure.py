from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import same_color
from matplotlib.text import Annotation, Text

from tomodistill.evaluation.pareto import Point, front
from tomodistill.evaluation.pareto_figure import pareto_figure
from tomodistill.evaluation.table import Interval


def point(network, speedup, accuracy):
    interval = Interval(accuracy, accuracy - 0.02, accuracy + 0.01)
    return Point(network, 1000, 0.1, interval, 300, accuracy, Interval(speedup, speedup, speedup))


# As close to each other as real ones: s1 beside s2, f1 beside f2 and the chosen one.
NAMED = [
    point("big", 1.0, 0.95),
    point("s1", 1.65, 0.940),
    point("s2", 1.66, 0.941),
    point("s3", 6.1, 0.93),
    point("f1", 40.0, 0.93),
    point("f2", 41.0, 0.929),
]
CHOSEN = point("fast-2-5s2w32-64x2-128x2", 42.0, 0.929)
OTHERS = [point(f"fast-{index}", 20.0 + 3 * index, 0.85 + index % 5 / 60) for index in range(14)]
POINTS = [*NAMED, CHOSEN, *OTHERS]


@pytest.fixture(scope="module")
def axes():
    named = [of.network for of in NAMED]
    return pareto_figure(POINTS, teacher="big", chosen=CHOSEN.network, named=named).axes[0]


def markers(axes):
    """(x, y) -> colour."""
    drawn = [of for of in axes.collections if isinstance(of, PathCollection)]
    return {
        tuple(of.get_offsets()[0]): of.get_facecolor()[0] for of in drawn if len(of.get_offsets())
    }


def names(axes):
    return [text for text in axes.texts if isinstance(text, Annotation)]


def test_every_point_is_drawn_with_its_interval_over_a_logarithmic_speedup(axes):
    assert set(markers(axes)) == {(of.speedup.value, of.accuracy.value) for of in POINTS}
    assert axes.get_xscale() == "log"
    bars = [of.lines[2][0].get_segments()[0][:, 1] for of in axes.containers]
    np.testing.assert_allclose(bars, [of.accuracy[1:] for of in POINTS])


def test_the_line_goes_through_the_front(axes):
    line = next(line for line in axes.lines if line.get_label() == "Pareto front")
    corners = [(of.speedup.value, of.accuracy.value) for of in front(POINTS)]
    np.testing.assert_array_equal(line.get_xydata(), corners)


def test_the_chosen_one_and_the_teacher_stand_out(axes):
    colours = markers(axes)
    assert same_color(colours[42.0, 0.929], "tab:red")
    assert same_color(colours[1.0, 0.95], "tab:gray")
    assert same_color(colours[40.0, 0.93], "tab:blue")


def test_names_are_those_asked_for_and_stand_at_their_points(axes):
    found = {name.get_text(): name.xy for name in names(axes)}
    assert found == {of.network: (of.speedup.value, of.accuracy.value) for of in [*NAMED, CHOSEN]}


def test_names_cover_neither_each_other_nor_a_marker_nor_the_edge(axes):
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    axes.figure.draw(renderer)  # as it will be written
    places = [Text.get_window_extent(name, renderer) for name in names(axes)]
    assert not [pair for pair in combinations(places, 2) if pair[0].overlaps(pair[1])]
    centres = axes.transData.transform(list(markers(axes)))
    assert not [place for place in places for centre in centres if place.contains(*centre)]
    assert all(axes.bbox.contains(*corner) for of in places for corner in (of.min, of.max))


def test_one_network_is_a_front_of_its_own():
    alone = pareto_figure(NAMED[:1], teacher="big", chosen="big").axes[0]
    assert len(markers(alone)) == 1
    assert [name.get_text() for name in names(alone)] == ["big"]
