import numpy as np
import pytest
import tensorflow as tf

from tfmaskrcnn.ops.sampling import sample_rows


def flags(*kinds):
    """[B, n] positive and negative from strings of "+", "-" and "." (neither)."""
    rows = np.array([list(k) for k in kinds])
    return tf.constant(rows == "+"), tf.constant(rows == "-")


def seeds(*numbers):
    return tf.constant([[n, 7] for n in numbers], tf.int32)


def rows_of(sample, image=0):
    """Chosen (positive rows, negative rows), sorted."""
    index, positive, valid = (x.numpy()[image] for x in sample)
    assert not (positive & ~valid).any()
    return sorted(index[positive]), sorted(index[valid & ~positive])


def test_few_candidates_are_all_taken_and_padding_follows():
    sample = sample_rows(*flags("-.+.-."), 5, 0.5, seeds(1))
    assert rows_of(sample) == ([2], [0, 4])
    np.testing.assert_array_equal(sample.valid, [[True, True, True, False, False]])
    np.testing.assert_array_equal(sample.positive, [[True, False, False, False, False]])
    assert sample.index.dtype == tf.int32


def test_fewer_candidates_than_rows_leave_padding_that_is_not_valid():
    sample = sample_rows(*flags("+-", "--"), 5, 0.5, seeds(1, 2))
    assert [x.shape.as_list() for x in sample] == [[2, 5]] * 3
    assert rows_of(sample, 0) == ([0], [1]) and rows_of(sample, 1) == ([], [0, 1])
    assert sample.index.numpy().max() < 2


@pytest.mark.parametrize(
    "positives, negatives, expected",
    [
        (100, 100, (8, 24)),  # at most a quarter
        (3, 100, (3, 29)),  # negatives fill up
        (100, 5, (8, 5)),  # positives do not
        (0, 100, (0, 32)),
        (8, 0, (8, 0)),
        (0, 0, (0, 0)),
    ],
)
def test_counts_follow_the_fraction_and_negatives_fill_up(positives, negatives, expected):
    kinds = "+" * positives + "-" * negatives + "." * 40
    for seed in range(20):
        shuffled = "".join(np.random.default_rng(seed).permutation(list(kinds)))
        sample = sample_rows(*flags(shuffled), 32, 0.25, seeds(seed))
        chosen = rows_of(sample)
        assert (len(chosen[0]), len(chosen[1])) == expected
        assert len(set(chosen[0] + chosen[1])) == sum(expected)  # without repetition
        assert all(shuffled[i] == "+" for i in chosen[0])
        assert all(shuffled[i] == "-" for i in chosen[1])
        # Positives first, then negatives, then padding.
        order = sample.positive.numpy()[0].astype(int) + sample.valid.numpy()[0]
        assert (np.diff(order) <= 0).all()


def test_a_tiny_fraction_still_allows_one_positive():
    positives, negatives = rows_of(sample_rows(*flags("++++----"), 4, 0.1, seeds(3)))
    assert len(positives) == 1 and len(negatives) == 3


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    case = flags("+" * 50 + "-" * 50)
    one, again, other = (sample_rows(*case, 16, 0.5, seeds(n)) for n in (1, 1, 2))
    for a, b in zip(one, again):
        np.testing.assert_array_equal(a, b)
    assert rows_of(one) != rows_of(other)


def test_an_images_draw_depends_on_its_own_seed_and_not_on_its_neighbours():
    kinds = ["+" * 30 + "-" * 70, "-" * 100, "+." * 50]
    together = sample_rows(*flags(*kinds), 16, 0.5, seeds(5, 6, 7))
    for image, (kind, number) in enumerate(zip(kinds, (5, 6, 7))):
        alone = sample_rows(*flags(kind), 16, 0.5, seeds(number))
        for a, b in zip(together, alone):
            np.testing.assert_array_equal(a[image], b[0])
    same = sample_rows(*flags(kinds[0], kinds[0]), 16, 0.5, seeds(5, 6))
    assert rows_of(same, 0) != rows_of(same, 1)


def test_every_candidate_is_drawn_as_often_as_any_other():
    draws = 2000
    case = flags(*["+" * 10 + "." * 5 + "-" * 20] * draws)
    sample = sample_rows(*case, 12, 1 / 3, seeds(*range(draws)))  # 4 of 10 and 8 of 20
    drawn = np.bincount(sample.index.numpy()[sample.valid.numpy()], minlength=35)
    assert (drawn[10:15] == 0).all()
    for counts in (drawn[:10], drawn[15:]):
        expected = draws * 0.4
        # Chi-square of a draw without repetition, with n - 1 degrees of freedom. The draws are
        # fixed by their seeds; the bound (p below 1e-4) would catch a bias of a few per cent.
        spread = ((counts - expected) ** 2 / (expected * 0.6)).sum() * (1 - 1 / len(counts))
        assert spread < {10: 33.7, 20: 50.8}[len(counts)]


def test_the_order_of_the_drawn_rows_is_random_too():
    sample = sample_rows(*flags(*["+" * 8] * 200), 8, 1.0, seeds(*range(200)))
    mean_place = np.argsort(sample.index.numpy(), axis=1).mean(0)  # of each candidate
    np.testing.assert_allclose(mean_place, 3.5, atol=0.8)


def test_unknown_shapes_draw_the_same_rows():
    case = flags("+" * 20 + "-" * 40, "-" * 60)
    spec = tf.TensorSpec([None, None], tf.bool)

    @tf.function(input_signature=[spec, spec, tf.TensorSpec([None, 2], tf.int32)])
    def dynamic(positive, negative, seeds):
        sample = sample_rows(positive, negative, 16, 0.5, seeds)
        assert sample.index.shape.as_list() == [None, 16]
        return sample

    for a, b in zip(sample_rows(*case, 16, 0.5, seeds(1, 2)), dynamic(*case, seeds(1, 2))):
        np.testing.assert_array_equal(a, b)
    fewer = dynamic(*flags("+-.-"), seeds(1))
    assert rows_of(fewer) == ([0], [1, 3])


def test_without_candidates_every_row_is_padding():
    none = tf.zeros([2, 0], tf.bool)
    sample = sample_rows(none, none, 4, 0.5, seeds(1, 2))
    assert sample.index.shape == [2, 4] and not sample.valid.numpy().any()
