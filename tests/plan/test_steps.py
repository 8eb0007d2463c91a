"""The step arithmetic equals sd-scripts', and the explanation says it in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plan.steps import Amounts, balance, count_steps

SQUARE = (1024, 1024)


def guide_amounts(reg_on_disk: int = 752) -> Amounts:
    reg = balance([1] * reg_on_disk, 750)
    return Amounts(train=[(30, 25)], reg_repeats=reg, bucket_counts={SQUARE: 750 + sum(reg)})


@pytest.mark.parametrize(("batch_size", "batches"), [(1, 1500), (2, 750), (4, 375)])
def test_the_guides_batches_an_epoch(batch_size, batches):
    steps = count_steps(guide_amounts(), batch_size=batch_size, accumulation=1, epochs=4)
    assert steps.batches_per_epoch == batches


def test_the_guides_own_numbers_give_3000_steps():
    steps = count_steps(guide_amounts(), batch_size=2, accumulation=1, epochs=4)
    assert (steps.num_train_images, steps.num_reg_images, steps.num_reg_on_disk) == (750, 750, 752)
    assert (steps.steps_per_epoch, steps.epochs, steps.total) == (750, 4, 3000)


def test_the_explanation_shows_the_guides_arithmetic_a_line_each():
    assert count_steps(guide_amounts(), batch_size=2, accumulation=1, epochs=4).explanation.splitlines() == [
        "Your pictures: 30 pictures × 25 repeats = 750 in an epoch.",
        "Regularisation pictures: as many again, 750, from 752 on disk (2 not used).",
        "750 + 750 = 1,500 pictures in batches of 2: 750 batches an epoch.",
        "750 steps × 4 epochs = 3,000 steps.",
        "The guide's simple rule, pictures × repeats × epochs = 30 × 25 × 4 = 3,000, comes to the same here only "
        "because regularisation pictures double the number and 2 pictures share a step.",
    ]


def test_short_batches_of_two_shapes_count():
    amounts = Amounts(train=[(12, 10)], bucket_counts={(64, 96): 70, (96, 64): 50})
    steps = count_steps(amounts, batch_size=4, accumulation=1, epochs=1)
    assert steps.total == 31
    assert "18 + 13 = 31 batches" in steps.explanation
    assert "each shape may end in a short batch" in steps.explanation


def test_accumulated_batches_share_a_step_and_the_last_may_be_short():
    steps = count_steps(guide_amounts(), batch_size=2, accumulation=4, epochs=2)
    assert (steps.batches_per_epoch, steps.steps_per_epoch, steps.total) == (750, 188, 376)
    assert "One step takes 4 batches: 188 steps an epoch." in steps.explanation


def test_the_guides_rule_holds_where_nothing_else_counts():
    amounts = Amounts(train=[(20, 10)], bucket_counts={SQUARE: 200})
    steps = count_steps(amounts, batch_size=1, accumulation=1, epochs=3)
    assert steps.total == 600
    assert steps.explanation.endswith(
        "The guide's rule says the same: pictures × repeats × epochs = 20 × 10 × 3 = 600."
    )


def test_the_guides_rule_differs_with_a_batch_size_of_2_and_the_reason_is_given():
    amounts = Amounts(train=[(20, 10)], bucket_counts={SQUARE: 200})
    last = count_steps(amounts, batch_size=2, accumulation=1, epochs=3).explanation.splitlines()[-1]
    assert last == (
        "The guide's simple rule says pictures × repeats × epochs = 20 × 10 × 3 = 600. "
        "It is not so here because 2 pictures share a step."
    )


@pytest.mark.parametrize("on_disk", [752, 750, 200, 1])
def test_regularisation_pictures_are_filled_up_to_the_same_number(on_disk):
    assert sum(balance([1] * on_disk, 750)) == 750


def test_surplus_regularisation_pictures_stay_unused_in_their_order():
    assert balance([1] * 5, 3) == [1, 1, 1, 0, 0]


def test_too_few_regularisation_pictures_are_repeated_in_turn():
    assert balance([1, 1, 1], 8) == [3, 3, 2]


def test_repeats_of_regularisation_folders_may_overshoot_as_in_sd_scripts():
    assert balance([3, 3, 3], 5) == [3, 3, 0]


def sd_scripts_loop(repeats: list[int], target: int) -> list[int]:
    """The rule as sd-scripts walks it, picture by picture."""
    answer, count, first = [0] * len(repeats), 0, True
    while count < target:
        for index, times in enumerate(repeats):
            more = times if first else 1
            answer[index] += more
            count += more
            if count >= target:
                break
        first = False
    return answer


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(0, 200))
def test_balancing_equals_walking_through_the_pictures(repeats, target):
    assert balance(repeats, target) == sd_scripts_loop(repeats, target)


@given(
    st.dictionaries(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 500), min_size=1, max_size=8),
    st.integers(1, 16),
    st.integers(1, 8),
    st.integers(1, 20),
)
def test_steps_lie_between_full_batches_and_one_short_batch_a_bucket(counts, batch_size, accumulation, epochs):
    total = sum(counts.values())
    steps = count_steps(
        Amounts(train=[(total, 1)], bucket_counts=counts),
        batch_size=batch_size, accumulation=accumulation, epochs=epochs,
    )  # fmt: skip
    assert math.ceil(total / batch_size) <= steps.batches_per_epoch < math.ceil(total / batch_size) + len(counts)
    assert steps.total == epochs * math.ceil(steps.batches_per_epoch / accumulation)
