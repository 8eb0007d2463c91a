"""Buckets equal sd-scripts' to the pixel."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plan.buckets import (
    BucketRules,
    Placement,
    covering,
    crop_ltrb,
    make_bucket_resolutions,
    size_conditioning,
    smaller,
)
from engine.plan.settings import resolve

SIDES = st.integers(1, 9000)
NO_UPSCALE = BucketRules.from_settings(resolve({}))
UPSCALE = BucketRules.from_settings(resolve({"bucket_no_upscale": False, "bucket_reso_steps": 64}))


@pytest.mark.parametrize(
    ("size", "resized", "bucket"),
    [
        ((1500, 2000), (864, 1152), (864, 1152)),
        ((4000, 3000), (1152, 864), (1152, 864)),
        ((1920, 1080), (1365, 768), (1344, 768)),
        ((1024, 1024), (1024, 1024), (1024, 1024)),
        ((800, 600), (800, 600), (800, 576)),
        ((512, 512), (512, 512), (512, 512)),
    ],
)
def test_without_upscaling_pictures_keep_their_shape_and_small_ones_their_size(size, resized, bucket):
    assert NO_UPSCALE.select(*size) == Placement(resized, bucket)


@pytest.mark.parametrize(
    ("size", "bucket"), [((1500, 2000), (896, 1152)), ((1920, 1080), (1344, 768)), ((800, 600), (1152, 896))]
)
def test_with_upscaling_every_picture_goes_to_the_nearest_of_the_predefined_buckets(size, bucket):
    assert UPSCALE.select(*size).bucket == bucket


def test_there_are_41_buckets_up_to_2048_and_25_up_to_1024():
    assert len(make_bucket_resolutions((1024, 1024), 256, 2048, 64)) == 41
    assert len(make_bucket_resolutions((1024, 1024), 256, 1024, 64)) == 25


def test_without_buckets_all_pictures_get_one_size():
    rules = BucketRules.from_settings(resolve({"enable_bucket": False, "resolution": "1024,768"}))
    assert rules.select(3000, 500) == Placement((4608, 768), (1024, 768))
    assert rules.select(10, 10) == Placement((1024, 1024), (1024, 768))


def test_limits_are_rounded_to_the_step():
    rules = BucketRules.from_settings(
        resolve({"bucket_no_upscale": False, "min_bucket_reso": 250, "max_bucket_reso": 1000, "bucket_reso_steps": 64})
    )
    assert (rules.shortest, rules.longest) == (192, 1024)


def test_a_picture_narrower_than_a_step_fits_no_bucket():
    assert not NO_UPSCALE.select(20, 900).fits
    assert not NO_UPSCALE.select(200_000, 20).fits
    assert NO_UPSCALE.select(32, 32).fits


def test_the_practice_models_three_buckets():
    rules = BucketRules.from_settings(resolve({"resolution": "96,96", "bucket_reso_steps": 16}))
    assert [rules.select(*size).bucket for size in ((96, 96), (80, 112), (112, 80), (300, 300))] == [
        (96, 96), (80, 112), (112, 80), (96, 96),
    ]  # fmt: skip


@given(SIDES, SIDES, st.sampled_from([16, 32, 64]))
@settings(max_examples=300, deadline=None)
def test_no_upscale_never_enlarges_and_only_crops(width, height, step):
    placement = BucketRules((1024, 1024), step=step).select(width, height)
    assert placement.resized[0] <= width or width * height > 1024**2
    assert placement.bucket[0] <= placement.resized[0]
    assert placement.bucket[1] <= placement.resized[1]
    assert placement.bucket[0] % step == placement.bucket[1] % step == 0
    assert placement.bucket[0] * placement.bucket[1] <= 1024**2 * 1.02


@given(SIDES, SIDES, st.booleans())
@settings(max_examples=300, deadline=None)
def test_enlarged_pictures_always_cover_their_bucket(width, height, enabled):
    rules = BucketRules((1024, 1024), enabled=enabled, no_upscale=False, step=64)
    placement = rules.select(width, height)
    assert placement.bucket in rules.predefined
    assert placement.resized[0] >= placement.bucket[0]
    assert placement.resized[1] >= placement.bucket[1]
    assert placement.bucket[0] in placement.resized or placement.bucket[1] in placement.resized


@given(st.integers(64, 2048), st.integers(64, 2048), SIDES, SIDES)
@settings(max_examples=300, deadline=None)
def test_size_conditioning_is_a_letter_box_and_never_negative(bucket_width, bucket_height, width, height):
    left, top, right, bottom = crop_ltrb((bucket_width, bucket_height), (width, height))
    assert left >= 0
    assert top >= 0
    assert min(left, top) == 0
    assert right <= bucket_width + 1e-6
    assert bottom <= bucket_height + 1e-6


@pytest.mark.parametrize(
    ("bucket", "image", "told"),
    [
        ((1024, 1024), (1024, 1024), (1024, 1024, 0, 0, 1024, 1024)),
        ((1024, 1024), (3000, 3000), (3000, 3000, 0, 0, 1024, 1024)),
        # 1920×1080 laid into 1344×768: full width would be 756 high, so 6 pixels stand above.
        ((1344, 768), (1920, 1080), (1080, 1920, 6, 0, 768, 1344)),
        # 800×600 in 800×576: full height is 768 wide, 16 pixels stand at the left.
        ((800, 576), (800, 600), (600, 800, 0, 16, 576, 800)),
    ],
)
def test_size_conditioning_tells_original_size_letter_box_and_bucket(bucket, image, told):
    assert size_conditioning(bucket, image) == told


@given(st.tuples(SIDES, SIDES), st.integers(16, 1024), st.sampled_from([16, 32, 64]))
def test_a_smaller_bucket_has_no_more_pixels_than_is_wished(size: tuple[int, int], side: int, step: int) -> None:
    bucket = tuple(max(step, length // step * step) for length in size)
    found = smaller(bucket, side, step)
    assert all(length % step == 0 and length >= step for length in found)
    assert all(after <= before for after, before in zip(found, bucket, strict=True))
    assert found[0] * found[1] <= side**2 or min(found) == step
    assert smaller(bucket, 10_000, step) == bucket
    resized = covering(size, found)
    assert all(length >= least for length, least in zip(resized, found, strict=True))
    assert resized[0] == found[0] or resized[1] == found[1]
