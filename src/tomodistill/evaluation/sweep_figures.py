"""Figures of a sweep: validation accuracy against temperature, and against transfer-set size."""

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tomodistill.evaluation.sweep import CONTROL, Choice, is_control

_COLOURS = ("tab:blue", "tab:orange", "tab:green")  # of the losses, in order
_CONTROL_COLOUR = "tab:gray"
_APART = 0.12  # between losses at one place; places are about 1 apart
_ACCURACY = "validation accuracy: seeds, mean, 95 %"

Place = Callable[[Choice], float]  # where a choice stands along x


def temperature_figure(choices: Sequence[Choice]) -> Figure:
    """A panel for each transfer set, a line for each loss; what has no temperature stands beside.

    Points are seeds, lines their means; the dotted line is the control's mean.
    """
    soft = [choice for choice in choices if not is_control(choice)]
    transfers = list(dict.fromkeys(choice.settings.transfer for choice in soft))
    given = {choice.settings.temperature for choice in soft} - {None}
    places = [*sorted(filter(None, given)), None]
    figure = Figure((1.5 + 4.5 * len(transfers), 4.2), layout="constrained")
    panels = figure.subplots(1, len(transfers), squeeze=False, sharey=True)[0]
    for axes, transfer in zip(panels, transfers, strict=True):
        here = [of for of in choices if of.settings.transfer == transfer or is_control(of)]
        _draw(axes, here, lambda of: places.index(of.settings.temperature))
        axes.set_xticks(range(len(places)), [f"{place:g}" if place else "no T" for place in places])
        axes.set_xlabel("temperature")
        axes.set_title(f"transfer {transfer}" if len(transfers) > 1 else "", fontsize=10)
    _finish(panels[0])
    return figure


def transfer_figure(choices: Sequence[Choice]) -> Figure:
    """A line for each loss, at its best temperature over all transfer sets; x is logarithmic.

    Points are seeds, lines their means; the dotted line is the control's mean.
    """
    sizes = sorted({choice.settings.transfer_items for choice in choices})
    smallest = next(filter(None, sizes), 1)
    figure = Figure((6.0, 4.2), layout="constrained")
    axes = figure.subplots()
    _draw(
        axes, _at_best_temperature(choices), lambda of: _place(of.settings.transfer_items, smallest)
    )
    places = [_place(size, smallest) for size in sizes]
    axes.set_xticks(places, [f"{size:,}" if size else "none" for size in sizes])
    axes.set_xlabel("items of the transfer set")
    _finish(axes)
    return figure


def _place(items: int, smallest: int) -> float:
    """Octaves above the smallest set there is, which is at 1; none at 0."""
    return float(np.log2(items / smallest)) + 1 if items else 0.0


def _at_best_temperature(choices: Sequence[Choice]) -> list[Choice]:
    """Of each loss, every transfer set at the temperature whose mean over these is the best."""
    found: dict[tuple[str, float | None], list[Choice]] = {}
    for choice in choices:
        found.setdefault(choice.settings[:2], []).append(choice)
    best: dict[str, list[Choice]] = {}
    for (loss, _), line in found.items():
        best[loss] = max(best.get(loss, line), line, key=_mean)
    return [choice for line in best.values() for choice in line]


def _mean(line: Sequence[Choice]) -> float:
    return float(np.mean([choice.accuracy.value for choice in line]))


def _draw(axes: Axes, choices: Sequence[Choice], place: Place) -> None:
    """A line for each loss, a little apart; and the control."""
    lines: dict[str, list[Choice]] = {}
    for choice in sorted(choices, key=is_control):
        lines.setdefault(choice.settings.loss, []).append(choice)
    for index, (colour, (loss, line)) in enumerate(zip(cycle(_COLOURS), lines.items())):
        colour = _CONTROL_COLOUR if loss == CONTROL else colour
        line = sorted(line, key=place)
        at = np.array([place(choice) for choice in line]) + _APART * (index - (len(lines) - 1) / 2)
        _draw_line(axes, at, line, colour)
        if loss == CONTROL:
            axes.axhline(line[0].accuracy.value, color=colour, linestyle=":", zorder=0)


def _draw_line(axes: Axes, at: np.ndarray, line: Sequence[Choice], colour: str) -> None:
    """Seeds as points, the means with error bars; `at` (c,) along x."""
    for x, choice in zip(at, line, strict=True):
        axes.scatter([x] * len(choice.trials), choice.accuracies, 12, color=colour, alpha=0.5)
    means, lows, highs = np.array([choice.accuracy for choice in line]).T
    axes.errorbar(
        at,
        means,
        [means - lows, highs - means],
        color=colour,
        label=_label(line),
        capsize=3,
        marker="_",
        linewidth=1.2,
    )


def _label(line: Sequence[Choice]) -> str:
    """The loss, and its temperature where all of the line have the same."""
    softened = {choice.settings.temperature for choice in line}
    temperature = softened.pop() if len(softened) == 1 else None
    return str(line[0].settings._replace(temperature=temperature, transfer_items=0))


def _finish(axes: Axes) -> None:
    axes.set_ylabel(_ACCURACY)
    axes.legend(frameon=False, fontsize=8)
