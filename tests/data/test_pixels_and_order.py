"""What the VAE sees of a picture, and the order of an epoch."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.data.pixels import fit, to_tensor
from engine.plan.buckets import BucketRules
from engine.plan.dataset import Picture
from engine.plan.order import epoch_batches, optimizer_steps
from engine.plan.steps import Amounts, batches_per_epoch, count_steps


# -------------------------------------------------------------------------------------------------------------- pixels
def ramp(width: int, height: int) -> Image.Image:
    """Red tells the column, green the row."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width), np.arange(height)[:, None]
    return Image.fromarray(pixels)


def test_what_is_too_wide_or_too_high_is_cut_off_around_the_middle_as_sd_scripts_does() -> None:
    for (width, height), bucket in (((101, 64), (64, 64)), ((64, 75), (64, 64)), ((70, 66), (64, 64))):
        cut = np.asarray(fit(ramp(width, height), (width, height), bucket))
        left, top = (width - bucket[0]) // 2, (height - bucket[1]) // 2  # trim_size // 2
        assert cut.shape == (bucket[1], bucket[0], 3)
        assert (cut[0, 0, 0], cut[0, 0, 1]) == (left, top)
        assert (cut[-1, -1, 0], cut[-1, -1, 1]) == (left + bucket[0] - 1, top + bucket[1] - 1)


def test_shrinking_averages_areas() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
    small = np.asarray(fit(Image.fromarray(pixels), (32, 48), (32, 48)), dtype=float)
    means = pixels.reshape(48, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 1.0  # rounded after each of two passes


def test_enlarging_uses_lanczos_and_a_picture_of_the_right_size_is_left_alone() -> None:
    picture = ramp(40, 30)
    enlarged = fit(picture, (80, 60), (80, 60))
    assert enlarged.tobytes() == picture.resize((80, 60), Image.Resampling.LANCZOS).tobytes()
    assert fit(picture, (40, 30), (40, 30)).tobytes() == picture.tobytes()


def test_one_side_that_grows_makes_it_an_enlargement_as_in_sd_scripts() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8))
    mixed = fit(picture, (51, 49), (51, 49))
    assert mixed.tobytes() == picture.resize((51, 49), Image.Resampling.LANCZOS).tobytes()


@settings(max_examples=60, deadline=None)
@given(width=st.integers(40, 400), height=st.integers(40, 400), no_upscale=st.booleans())
def test_every_plan_can_be_carried_out(width: int, height: int, no_upscale: bool) -> None:
    rules = BucketRules((128, 128), no_upscale=no_upscale, step=16, shortest=32, longest=256)
    placed = rules.select(width, height)
    if not placed.fits:
        return
    made = fit(Image.new("RGB", (width, height), (9, 99, 199)), placed.resized, placed.bucket)
    assert made.size == placed.bucket
    assert np.abs(np.asarray(made, dtype=int) - (9, 99, 199)).max() <= 1  # covered: nothing black at the edges


def test_pixels_become_minus_one_to_one_with_colours_first() -> None:
    image = Image.new("RGB", (3, 2), (0, 255, 51))
    tensor = to_tensor(image)
    assert tensor.shape == (3, 2, 3)
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor[:, 0, 0], torch.tensor([-1.0, 1.0, -0.6]))


# --------------------------------------------------------------------------------------------------------------- order
def pictures_of(groups: list[tuple[int, int, int]]) -> list[Picture]:
    """(bucket, repeats, how many) → pictures; the bucket is a number of 16 px steps."""
    made = []
    for bucket, repeats, count in groups:
        for _ in range(count):
            size = (16 * bucket, 64)
            made.append(Picture(Path(f"{len(made)}.png"), "train", "1_a", *size, size, size, repeats, "a", None, False))
    return made


sets_of_pictures = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=5
).map(pictures_of)


@settings(max_examples=150, deadline=None)
@given(
    pictures=sets_of_pictures,
    batch_size=st.integers(1, 5),
    accumulation=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    epoch=st.integers(1, 9),
)
def test_an_epoch_holds_every_picture_as_often_as_planned_and_each_batch_one_shape(
    pictures: list[Picture], batch_size: int, accumulation: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(pictures, batch_size, seed, epoch)
    assert Counter(i for batch in batches for i in batch) == {i: p.repeats for i, p in enumerate(pictures)}
    assert all(len({pictures[i].bucket for i in batch}) == 1 for batch in batches)
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    counts = Counter[tuple[int, int]]()
    for picture in pictures:
        counts[picture.bucket] += picture.repeats
    assert len(batches) == batches_per_epoch(counts, batch_size)
    steps = optimizer_steps(batches, accumulation)
    assert [batch for step in steps for batch in step] == batches
    plan = count_steps(Amounts([(1, 1)], counts), batch_size=batch_size, accumulation=accumulation, epochs=1)
    assert len(steps) == plan.steps_per_epoch
    assert all(len(step) == accumulation for step in steps[:-1])


@settings(max_examples=50, deadline=None)
@given(pictures=sets_of_pictures, seed=st.integers(0, 2**32 - 1), epoch=st.integers(1, 9))
def test_the_order_is_a_function_of_seed_and_epoch(pictures: list[Picture], seed: int, epoch: int) -> None:
    first = epoch_batches(pictures, 2, seed, epoch)
    epoch_batches(pictures, 3, seed + 1, epoch + 1)
    assert epoch_batches(pictures, 2, seed, epoch) == first


def test_the_order_is_known_and_differs_between_epochs_and_seeds() -> None:
    pictures = pictures_of([(4, 2, 4), (5, 1, 3)])
    orders = {(seed, epoch): str(epoch_batches(pictures, 2, seed, epoch)) for seed in (1, 2) for epoch in (1, 2, 3)}
    assert len(set(orders.values())) == 6
    # The same on every machine and with every Python: a resumed run must find the order it began with.
    assert epoch_batches(pictures, 2, 42, 1) == [[0, 3], [1, 2], [5, 4], [0, 1], [2, 3], [6]]


def test_shapes_and_pictures_are_mixed() -> None:
    pictures = pictures_of([(4, 1, 40), (5, 1, 40)])
    batches = epoch_batches(pictures, 2, 7, 1)
    shapes = [pictures[batch[0]].bucket for batch in batches]
    changes = sum(a != b for a, b in pairwise(shapes))
    assert changes > 10
    assert sorted(i for batch in batches for i in batch) != [i for batch in batches for i in batch]
