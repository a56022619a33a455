import numpy as np
import pytest
from scipy.stats import binomtest

from tomodistill.evaluation.sweep import (
    CONTROL,
    Settings,
    Trial,
    choices,
    mean_interval,
    ranked,
    table_of_choices,
    table_of_trials,
    verdict,
)
from tomodistill.evaluation.table import Interval

HINTON = Settings("hinton", 5.0, "none", 0)
LOGITS = Settings("logits", None, "4000", 4000)
HARD = Settings(CONTROL, None, "none", 0)


def trial(settings, seed, accuracy, items=300):
    interval = Interval(accuracy, accuracy - 0.03, accuracy + 0.02)
    return Trial(settings, seed, interval, items, agreement=accuracy / 2, url=f"http://ui/{seed}")


TRIALS = [
    trial(HARD, 0, 0.70),
    trial(HINTON, 0, 0.88),
    trial(LOGITS, 0, 0.90),
    trial(HARD, 1, 0.72),
    trial(HINTON, 1, 0.90),
    trial(LOGITS, 1, 0.94),
]


@pytest.mark.parametrize(("right", "items"), [(0, 20), (7, 20), (300, 300), (270, 300)])
def test_with_one_seed_or_equal_ones_the_interval_is_wilsons(right, items):
    wilson = binomtest(right, items).proportion_ci(method="wilson")
    for seeds in (1, 3):
        found = mean_interval([right / items] * seeds, items)
        assert found == pytest.approx((right / items, wilson.low, wilson.high))


def chances(rng, *, items, seeds):
    """(seeds, items) of being right: some items are harder for every seed, some seeds worse."""
    of_items, of_seeds = rng.uniform(-0.2, 0.2, items), rng.uniform(-0.1, 0.1, (seeds, 1))
    return 0.7 + of_items + of_seeds  # 0.7 on average, over all items and all seeds


def test_the_interval_covers_the_truth_when_items_and_seeds_both_vary(rng):
    covered = of_items_alone = 0
    for _ in range(500):
        right = rng.random((3, 200)) < chances(rng, items=200, seeds=3)
        accuracies = right.mean(axis=1).tolist()
        _, low, high = mean_interval(accuracies, 200)
        covered += low <= 0.7 <= high
        _, low, high = mean_interval([float(np.mean(accuracies))], 200)
        of_items_alone += low <= 0.7 <= high
    assert covered / 500 >= 0.94
    assert of_items_alone / 500 < covered / 500 - 0.03


def test_the_spread_of_seeds_widens_the_interval():
    narrow, wide = mean_interval([0.9, 0.9, 0.9], 300), mean_interval([0.8, 0.9, 1.0], 300)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.low < narrow.low < 0.9 < narrow.high < wide.high


def test_trials_of_the_same_settings_are_one_choice():
    hard, hinton, logits = choices(TRIALS)
    assert (hard.settings, hinton.settings, logits.settings) == (HARD, HINTON, LOGITS)
    assert hinton.accuracies == [0.88, 0.90]
    assert hinton.accuracy.value == pytest.approx(0.89)
    assert hinton.spread == pytest.approx(np.std([0.88, 0.90], ddof=1))
    assert hinton.agreement == pytest.approx(0.445)
    assert choices(TRIALS[:1])[0].spread is None


def test_the_best_is_that_of_the_highest_mean_and_never_a_control():
    assert [of.settings for of in ranked(choices(TRIALS))] == [LOGITS, HINTON]
    better_control = [trial(HARD, seed, 0.99) for seed in (0, 1)]
    assert ranked(choices([*TRIALS, *better_control]))[0].settings == LOGITS


def test_the_verdict_says_mean_spread_seeds_items_and_ties():
    said = verdict(choices(TRIALS))
    assert said.startswith("The best on the validation part: logits, transfer 4000: 0.920 (95 % 0.")
    assert "300 items, spread 0.028 over 2 seeds" in said
    assert "overlaps with 1 of 1 others; among these the sweep does not decide." in said
    assert "lies apart from that of the control, hard labels: 0.710 " in said


def test_the_verdict_on_a_clear_winner_and_an_equal_control():
    clear = [trial(HINTON, 0, 0.6, 1000), trial(LOGITS, 0, 0.9, 1000), trial(HARD, 0, 0.9, 1000)]
    said = verdict(choices(clear))
    assert "overlaps with 0 of 1 others. It overlaps with that of the control" in said
    assert "1000 items, 1 seed)" in said
    assert "others" not in verdict(choices(clear[:1]))


def test_the_table_of_choices_has_the_best_first_and_the_control_last():
    table = table_of_choices(choices(TRIALS))
    names = [column.name for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert [row["loss"] for row in rows] == ["logits", "hinton", CONTROL]
    best = rows[0]
    assert (best["T"], best["transfer"], best["transfer items"]) == (None, "4000", 4000)
    assert (best["lowest"], best["highest"], best["seeds"]) == (0.90, 0.94, 2)
    assert best["val/accuracy, mean over seeds"] == mean_interval([0.90, 0.94], 300)
    assert "| logits | – | 4000 | 4,000 | 0.920 (" in table.markdown()


def test_the_table_of_trials_has_each_with_its_own_interval():
    table = table_of_trials(TRIALS)
    assert [row[0].text for row in table.rows[:2]] == [
        "hard labels, seed 0",
        "hinton, T = 5, seed 0",
    ]
    assert table.rows[1][-3:] == [(0.88, pytest.approx(0.85), 0.90), 300, 0.44]
    assert table.rows[4][0].url == "http://ui/1"
