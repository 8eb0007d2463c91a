"""What becomes of a data set, against the rules of sd-scripts written down a second time, on thousands of sizes.

The rules stand here as plainly as they can be said; nothing of the code under test is used in them.
"""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from engine.plan.buckets import BucketRules, crop_ltrb, make_bucket_resolutions, size_conditioning
from engine.plan.captions import Caption, caption_file
from engine.plan.dataset import Dataset, scan
from engine.plan.folders import parse_name
from engine.plan.order import epoch_batches, optimizer_steps
from engine.plan.pictures import Size as Measured
from engine.plan.project import Project
from engine.plan.settings import resolve
from engine.plan.steps import Amounts, count_steps

Size = tuple[int, int]


def many(number: int) -> settings:
    """So many examples, the same ones each time."""
    return settings(max_examples=number, deadline=None, derandomize=True, database=None)


# ------------------------------------------------------------------------------------------------- the rules, once more
@dataclass(frozen=True)
class Rules:
    """As a person gives them. resolution: what stands in the settings, one number for a square."""

    resolution: tuple[int, ...] = (1024,)
    buckets: bool = True
    no_upscale: bool = True
    step: int = 32
    least: int = 256
    most: int = 2048

    @property
    def base(self) -> Size:
        return (self.resolution[0], self.resolution[-1])

    @property
    def options(self) -> dict[str, object]:
        return {
            "resolution": ",".join(map(str, self.resolution)),
            "enable_bucket": self.buckets,
            "bucket_no_upscale": self.no_upscale,
            "bucket_reso_steps": self.step,
            "min_bucket_reso": self.least,
            "max_bucket_reso": self.most,
        }


def all_buckets(rules: Rules) -> list[Size]:
    """The square, and for each width the greatest height of no more area, lying and standing."""
    area = rules.base[0] * rules.base[1]
    least = max(rules.step, math.floor(rules.least / rules.step) * rules.step)
    most = math.ceil(rules.most / rules.step) * rules.step
    side = math.floor(math.sqrt(area) / rules.step) * rules.step
    found = {(side, side)}
    for width in range(least, most + 1, rules.step):
        height = min(most, math.floor(area / width / rules.step) * rules.step)
        if height >= least:
            found.add((width, height))
            found.add((height, width))
    return sorted(found)


def half_up(number: float) -> int:
    return math.floor(number + 0.5)


def down(number: float, step: int) -> int:
    return half_up(number) // step * step


def covering(picture: Size, bucket: Size) -> tuple[Size, Size]:
    """Scaled until the bucket is covered: what is wider than the bucket by its height, else by its width."""
    width, height = picture
    scale = bucket[1] / height if width / height > bucket[0] / bucket[1] else bucket[0] / width
    return (half_up(width * scale), half_up(height * scale)), bucket


def placed(picture: Size, rules: Rules, buckets: list[Size] | None = None) -> tuple[Size, Size] | None:
    """(size after scaling, bucket) of a picture; None where nothing of a step's length would be left of a side.

    buckets: those of the rules, for who asks often.
    """
    width, height = picture
    if not rules.buckets:
        return covering(picture, rules.base)
    ratio, step = width / height, rules.step
    if not rules.no_upscale:
        buckets = buckets or all_buckets(rules)
        if picture in buckets:
            return picture, picture
        if min(buckets[0]) < 1:
            return None
        errors = [abs(ratio - bucket[0] / bucket[1]) for bucket in buckets]
        return covering(picture, buckets[errors.index(min(errors))])
    resized = picture
    if width * height > rules.base[0] * rules.base[1]:
        exact_width = math.sqrt(rules.base[0] * rules.base[1] * ratio)
        exact_height = rules.base[0] * rules.base[1] / exact_width
        by_width = down(exact_width, step), down(down(exact_width, step) / ratio, step)
        by_height = down(down(exact_height, step) * ratio, step), down(exact_height, step)
        if min(*by_width, *by_height) < 1:  # sd-scripts would divide by nought: such pictures keep their shape
            resized = round(exact_width), round(exact_height)
        elif abs(by_width[0] / by_width[1] - ratio) < abs(by_height[0] / by_height[1] - ratio):
            resized = by_width[0], half_up(by_width[0] / ratio)
        else:
            resized = half_up(by_height[1] * ratio), by_height[1]
    bucket = resized[0] - resized[0] % step, resized[1] - resized[1] % step
    return (resized, bucket) if min(bucket) > 0 else None


def told(picture: Size, bucket: Size) -> tuple[int, int, int, int, int, int]:
    """Size conditioning: the picture laid inside the bucket; original, top and left, target, heights first."""
    ratio = picture[0] / picture[1]
    inside = (bucket[1] * ratio, bucket[1]) if bucket[0] / bucket[1] > ratio else (bucket[0], bucket[0] / ratio)
    left, top = (int((outer - inner) // 2) for outer, inner in zip(bucket, inside, strict=True))
    return picture[1], picture[0], max(0, top), max(0, left), bucket[1], bucket[0]


def filled_up(repeats: list[int], wanted: int) -> list[int]:
    """Regularisation pictures in order until there are enough: first by their own repeats, then once more each."""
    used, number = [0] * len(repeats), 0
    first = True
    while repeats and number < wanted:
        for index, times in enumerate(repeats):
            if number >= wanted:
                break
            used[index] += times if first else 1
            number += times if first else 1
        first = False
    return used


# ---------------------------------------------------------------------------------------------------------------- sizes
SIDES = st.integers(1, 9000) | st.integers(1, 700) | st.sampled_from([32, 63, 64, 65, 512, 768, 1023, 1024, 1025, 1152])
PICTURES = st.tuples(SIDES, SIDES)
RESOLUTIONS = st.sampled_from([(1024,), (512,), (768,), (1024, 1024), (1024, 768), (832, 1216), (640, 1536), (1000,)])
LIMITS = st.sampled_from([(256, 2048), (256, 1024), (64, 1024), (250, 1000), (320, 1536), (512, 768)])


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    least, most = draw(LIMITS)
    return Rules(
        draw(RESOLUTIONS),
        draw(st.integers(0, 5)) > 0,
        draw(st.booleans()),
        draw(st.sampled_from([32, 64])),
        least,
        most,
    )


@given(PICTURES, rules())
@many(300)
@example((1500, 2000), Rules())
@example((20, 9000), Rules())
@example((9000, 20), Rules())
def test_every_picture_comes_into_the_bucket_of_the_rules(picture: Size, rules: Rules) -> None:
    found = BucketRules.from_settings(resolve(rules.options)).select(*picture)
    expected = placed(picture, rules)
    assert found.fits == (expected is not None)
    if expected is not None:
        assert (found.resized, found.bucket) == expected


def test_twenty_thousand_pictures_of_random_sizes_come_where_the_rules_say() -> None:
    dice = random.Random(1)
    resolutions, limits = [(1024,), (512,), (1024, 768), (832, 1216), (640, 1536), (1000,)], [(256, 2048), (64, 1024)]
    for number in range(40):
        least, most = dice.choice(limits)
        rules = Rules(dice.choice(resolutions), number % 8 > 0, number % 2 > 0, dice.choice((32, 64)), least, most)
        own, buckets = BucketRules.from_settings(resolve(rules.options)), all_buckets(rules)
        for _ in range(500):
            picture = dice.randint(1, 5000), int(2 ** dice.uniform(0, 13))
            found, expected = own.select(*picture), placed(picture, rules, buckets)
            assert (found.resized, found.bucket) == expected if expected else not found.fits, (picture, rules)
            if expected:
                assert size_conditioning(found.bucket, picture) == told(picture, expected[1]), (picture, rules)


@given(RESOLUTIONS, LIMITS, st.sampled_from([32, 64]))
@many(50)
def test_the_list_of_buckets_is_that_of_the_rules(resolution: tuple[int, ...], limits: Size, step: int) -> None:
    rules = Rules(resolution, True, False, step, *limits)
    assert BucketRules.from_settings(resolve(rules.options)).predefined == all_buckets(rules)


@given(PICTURES, rules())
@many(200)
def test_what_the_model_is_told_of_a_picture_is_that_of_the_rules(picture: Size, rules: Rules) -> None:
    expected = placed(picture, rules)
    assume(expected is not None)
    assert expected is not None
    bucket = expected[1]
    assert size_conditioning(bucket, picture) == told(picture, bucket)
    left, top, right, bottom = crop_ltrb(bucket, picture)
    mirrored = size_conditioning(bucket, picture, mirrored=True)
    assert mirrored[3] == int(bucket[0] - right)
    assert mirrored[:3] == size_conditioning(bucket, picture)[:3]
    assert right - left == pytest.approx(picture[0] / picture[1] * (bottom - top))


def test_the_rules_as_they_stand_here_give_the_known_numbers() -> None:
    shrunk = {
        (1500, 2000): ((864, 1152), (864, 1152)),
        (4000, 3000): ((1152, 864), (1152, 864)),
        (1920, 1080): ((1365, 768), (1344, 768)),
        (1024, 1024): ((1024, 1024), (1024, 1024)),
        (800, 600): ((800, 600), (800, 576)),
        (512, 512): ((512, 512), (512, 512)),
    }
    assert {picture: placed(picture, Rules()) for picture in shrunk} == shrunk
    enlarging = Rules(no_upscale=False, step=64)
    buckets = {(1500, 2000): (896, 1152), (1920, 1080): (1344, 768), (800, 600): (1152, 896)}
    assert {picture: (placed(picture, enlarging) or ((), ()))[1] for picture in buckets} == buckets
    assert (len(all_buckets(enlarging)), len(all_buckets(Rules(no_upscale=False, step=64, most=1024)))) == (41, 25)
    assert all_buckets(enlarging) == make_bucket_resolutions((1024, 1024), 256, 2048, 64)


# -------------------------------------------------------------------------------------------- repeats, balancing, steps
FOLDERS = st.lists(
    st.tuples(
        st.integers(1, 9), st.lists(PICTURES | st.sampled_from([(1024, 1024), (900, 700)]), min_size=1, max_size=6)
    ),
    min_size=1,
    max_size=3,
)


def scanned(
    train: list[tuple[int, list[Size]]], reg: list[tuple[int, list[Size]]], options: dict[str, object]
) -> Dataset:
    """The data set of a real project folder, whose pictures have the sizes that are wanted without being painted."""
    sizes: dict[str, Size] = {}
    with tempfile.TemporaryDirectory() as place:
        for kind, folders in (("img", train), ("reg", reg)):
            for number, (repeats, pictures) in enumerate(folders):
                folder = Path(place, kind, f"{repeats}_ohwx {number}")
                folder.mkdir(parents=True)
                for index, picture in enumerate(pictures):
                    (folder / f"{index:02}.png").touch()
                    sizes[f"{kind}/{folder.name}/{index:02}.png"] = picture
        root = Path(place)

        def measure(path: Path) -> Measured:
            return Measured(*sizes[path.relative_to(root).as_posix()])

        def read_caption(picture: Path, extension: str, words: str) -> Caption:
            return Caption("ohwx", None)

        return scan(Project.open(root), resolve(options), measure=measure, read_caption=read_caption)


@given(FOLDERS, FOLDERS | st.just([]), rules(), st.integers(1, 5), st.integers(1, 4), st.integers(1, 5))
@many(60)
def test_repeats_balancing_batches_and_steps_are_those_of_the_rules(
    train: list[tuple[int, list[Size]]],
    reg: list[tuple[int, list[Size]]],
    rules: Rules,
    batch_size: int,
    accumulation: int,
    epochs: int,
) -> None:
    # Folders are read in the order of their names, and those that begin alike here differ in their last letter.
    seen: dict[str, list[tuple[int, Size]]] = {"train": [], "reg": []}
    for kind, folders in (("train", train), ("reg", reg)):
        for _, repeats, pictures in sorted(
            (f"{times}_ohwx {n}", times, sizes) for n, (times, sizes) in enumerate(folders)
        ):
            for picture in pictures:
                if (place := placed(picture, rules)) is not None:
                    seen[kind].append((repeats, place[1]))
    assume(seen["train"])
    wanted = sum(repeats for repeats, _ in seen["train"])
    used = filled_up([repeats for repeats, _ in seen["reg"]], wanted)
    counts: Counter[Size] = Counter()
    for repeats, bucket in [
        *seen["train"],
        *((times, bucket) for times, (_, bucket) in zip(used, seen["reg"], strict=True)),
    ]:
        counts[bucket] += repeats
    batches = sum(math.ceil(count / batch_size) for count in counts.values())
    steps = math.ceil(batches / accumulation)

    options = rules.options | {
        "train_batch_size": batch_size,
        "gradient_accumulation_steps": accumulation,
        "max_train_epochs": epochs,
    }
    found = scanned(train, reg, options)
    assert found.buckets == {bucket: count for bucket, count in sorted(counts.items()) if count}
    assert [picture.repeats for picture in found.of("reg") if not picture.left_out] == used
    assert (found.steps.num_train_images, found.steps.num_reg_images) == (wanted, sum(used))
    assert (found.steps.batches_per_epoch, found.steps.steps_per_epoch) == (batches, steps)
    assert (found.steps.epochs, found.steps.total) == (epochs, epochs * steps)

    views: Counter[int] = Counter()  # and so it is trained
    for epoch in range(1, epochs + 1):
        made = epoch_batches(found.used, batch_size, 42, epoch)
        assert (len(made), len(optimizer_steps(made, accumulation))) == (batches, steps)
        views.update(index for batch in made for index in batch)
    assert views == {index: picture.repeats * epochs for index, picture in enumerate(found.used)}


def test_each_of_the_guides_30_pictures_is_seen_100_times() -> None:
    found = scanned(
        [(25, [(1024, 1024)] * 30)], [(1, [(1024, 1024)] * 752)], {"train_batch_size": 2, "max_train_epochs": 4}
    )
    views = Counter(
        index for epoch in (1, 2, 3, 4) for batch in epoch_batches(found.used, 2, 1, epoch) for index in batch
    )
    assert [views[index] for index in range(30)] == [100] * 30
    assert set(views.values()) == {100, 4}
    assert sum(picture.repeats == 0 for picture in found.of("reg")) == 2
    assert (found.steps.steps_per_epoch, found.steps.total) == (750, 3000)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 8), st.integers(1, 9))
@many(300)
def test_the_programs_that_forget_the_buckets_count_too_few_steps_and_never_too_many(
    counts: list[int], batch_size: int, accumulation: int, epochs: int
) -> None:
    """kohya_ss computes ceil(pictures / batch / accumulation × epochs), and its last epoch is cut short."""
    buckets = {(64 * index, 64): count for index, count in enumerate(counts, start=1)}
    amounts = Amounts(train=[(sum(counts), 1)], bucket_counts=buckets)
    total = count_steps(amounts, batch_size=batch_size, accumulation=accumulation, epochs=epochs).total
    assert total >= math.ceil(sum(counts) / batch_size / accumulation * epochs - 1e-9)


# ------------------------------------------------------------------------------------------------ folders and captions
@given(st.integers(-9, 99_999), st.text(alphabet="ab _é-.0", max_size=12))
@many(200)
def test_a_folders_name_is_cut_at_its_first_underscore(number: int, words: str) -> None:
    first, *rest = f"{number}_{words}".split("_")
    assert parse_name(f"{number}_{words}") == (int(first), "_".join(rest))


@given(st.lists(st.sampled_from(["anna", "3", "10", "x y"]), min_size=1, max_size=8), st.booleans(), st.booleans())
@many(200)
def test_a_captions_file_has_the_pictures_name_or_that_before_the_four_numbers_of_a_face(
    tokens: list[str], own: bool, shorter: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        names = ["_".join(tokens)] if own else []
        if shorter and len(tokens) >= 5:
            names.append("_".join(tokens[:-4]))
        for name in names:
            Path(place, f"{name}.txt").touch()
        Path(place, f"{'_'.join(tokens[:-3])}_.txt").touch()
        expected = Path(place, f"{names[0]}.txt") if names else None
        assert caption_file(Path(place, f"{'_'.join(tokens)}.png"), ".txt") == expected
