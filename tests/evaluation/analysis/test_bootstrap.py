import numpy as np
import pytest

from helpers.drawn_sets import drawn, random_set
from helpers.one_stack import on_stack_a
from helpers.populations import Population
from tfmaskrcnn.evaluation.analysis import bootstrap
from tfmaskrcnn.evaluation.analysis.bootstrap import ap_interval, intervals
from tfmaskrcnn.evaluation.analysis.coco_matching import match_all
from tfmaskrcnn.evaluation.analysis.precision import average_precision, mean_present

A = (10, 10, 30, 30)


@on_stack_a
@pytest.mark.parametrize("size, num_classes, objects", [(14, 1, 20), (40, 1, 6), (40, 10, 3)])
def test_intervals_hold_the_ap_of_the_whole_set(monkeypatch, size, num_classes, objects):
    monkeypatch.setattr(bootstrap.draw_images, "__defaults__", (100, 0))  # for time
    monkeypatch.setattr(bootstrap.draw_halves, "__defaults__", (60, 0))
    population = Population(2, num_classes, objects)
    truth = population.ap()
    rng = np.random.default_rng(3)
    found = [ap_interval(population.sample(rng.choice(3000, size))) for _ in range(100)]
    held = sum(i.low <= truth <= i.high for i in found)
    assert held >= 90
    assert all(i.low <= i.value <= i.high for i in found)
    # And they are not held by being wide: a normal interval would be some 4 deviations.
    widths = np.mean([i.high - i.low for i in found])
    assert widths < 5.5 * np.std([i.value for i in found])


def test_a_perfect_predictor_leaves_no_doubt():
    images = [([(1, A)], [(1, A, 0.9)])] * 5
    assert ap_interval(match_all(drawn(images), "mask")) == (1.0, 1.0, 1.0)


def test_one_image_says_nothing_of_others():
    assert ap_interval(match_all(drawn([([(1, A)], [(1, A, 0.9)])]), "mask")) == (1.0, 0.0, 1.0)


def test_without_objects_there_is_no_interval():
    matches = match_all(drawn([([], [(1, A, 0.5)])] * 3), "mask")
    assert not ap_interval(matches).known


def test_all_classes_come_first_then_each():
    matches = match_all(random_set(1, num_classes=3), "mask")
    found = intervals(bootstrap.ap_statistic(matches), matches.counts.shape[1])
    ap = average_precision(matches)
    expected = [mean_present(ap)[0], *ap[0].mean(axis=1)]
    np.testing.assert_allclose([i.value for i in found], expected)


def test_more_images_make_narrower_intervals():
    population = Population(0, 1, 6)
    few, many = (ap_interval(population.sample(np.arange(n))) for n in (20, 500))
    assert many.high - many.low < (few.high - few.low) / 3


def test_draws_are_the_same_each_time_and_of_as_many_images():
    draws = bootstrap.draw_images(7, 50)
    assert (draws.sum(axis=1) == 7).all() and (draws == bootstrap.draw_images(7, 50)).all()
    halves = bootstrap.draw_halves(7, 50)
    assert (halves.sum(axis=1) == 3).all() and halves.max() == 1
    assert len(np.unique(halves, axis=0)) > 1


def test_students_factor_is_that_of_tables():
    # Student's 97.5 % quantiles, of any book, over the normal one's 1.960.
    for freedom, quantile in ((4, 2.776), (9, 2.262), (13, 2.160), (80, 1.990)):
        assert bootstrap._student(freedom) == pytest.approx(quantile / 1.960, rel=0.02)


def statistic(whole, of_halves=None, spread=0.0, without_first=0.0):
    """One number: `whole` of all images, `of_halves` of half of them; of draws it varies."""

    def values(draws):
        total, num_images = draws.sum(axis=1), draws.shape[1]
        drawn = whole + spread * (draws[:, 0] - 1)
        drawn = np.where(draws[:, 0] > 0, drawn, drawn + without_first)
        halves = whole if of_halves is None else of_halves
        return np.where(total < num_images, halves, drawn)[:, None]

    return values


def test_what_halves_have_more_than_all_images_is_taken_off():
    plain = intervals(statistic(0.5, spread=0.1), 20)[0]
    assert (plain.low + plain.high) / 2 == pytest.approx(0.5) and plain.low < 0.4
    moved = intervals(statistic(0.5, 0.51, spread=0.1), 20)[0]
    # An excess e of n images is one of e * sqrt(2) of n / 2.
    by = 0.01 / (np.sqrt(2) - 1)
    np.testing.assert_allclose(np.subtract(plain, moved), [0, by, by], atol=1e-12)


def test_an_interval_holds_its_value_and_stays_within_the_limits():
    assert intervals(statistic(0.5, 0.6), 20)[0] == (0.5, pytest.approx(0.2586, abs=1e-4), 0.5)
    assert intervals(statistic(0.5, 0.4), 20)[0].low == 0.5
    assert intervals(statistic(0.5, spread=0.9), 20)[0] == (0.5, 0.0, 1.0)
    assert intervals(statistic(0.5, spread=0.9), 20, -1.0, 1.0)[0].low < -0.5


def test_draws_without_a_number_are_left_out():
    found = intervals(statistic(0.5, spread=0.01, without_first=np.nan), 20)[0]
    assert 0.45 < found.low < 0.5 < found.high < 0.55


def test_an_interval_of_few_images_is_wider_than_their_draws():
    # Of 5 images: Student's 2.776 for 1.960, and a deviation by n - 1 in the place of n.
    drawn = statistic(0.5, spread=0.1)(bootstrap.draw_images(5))[:, 0]
    reach = np.abs(np.quantile(drawn, [0.025, 0.975]) - drawn.mean()).max()
    found = intervals(statistic(0.5, spread=0.1), 5)[0]
    assert (found.high - 0.5) / reach == pytest.approx(2.776 / 1.960 * np.sqrt(5 / 4), rel=0.02)
