"""What is shown of the training is what the training does: the same words at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.plan.buckets import BucketRules
from engine.plan.caption_draws import CaptionRules
from engine.plan.caption_preview import Place, Seen, draw_at, draws
from engine.plan.dataset import Picture
from engine.plan.order import epoch_batches, optimizer_steps
from engine.plan.settings import Settings, resolve

TAGS = "ohwx, red hat, blue coat, sea, sky"


def settings(**values: Any) -> Settings:
    return resolve({"caption_dropout_rate": 0.0}, values)


def pictures(count: int) -> list[Picture]:
    bucket = BucketRules.from_settings(settings()).select(1024, 1024).bucket
    return [
        Picture(
            Path(f"{n}.png"), "train", "10_x", 1024, 1024, bucket, bucket if n % 3 else (64, 64), 2, TAGS, None, False
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(("batch", "accumulation"), [(1, 1), (2, 1), (3, 2)])
def test_the_nth_draw_is_what_the_nth_time_is_in_the_training(batch: int, accumulation: int) -> None:
    s = settings(
        train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        shuffle_caption=True,
        keep_tokens=1,
        caption_tag_dropout_rate=0.2,
        caption_dropout_rate=0.2,
        caption_dropout_every_n_epochs=3,
        caption_prefix="photo,",
    )
    used, rules = pictures(7), CaptionRules.from_settings(s)
    trained: dict[int, list[str]] = {}
    step = 0
    for epoch in range(1, 5):  # as `train.loop` does
        for group in optimizer_steps(epoch_batches(used, batch, s.seed, epoch), accumulation):
            step += 1
            position = 0
            for indices in group:
                words = rules.drawn_for([used[index].words for index in indices], epoch, step, position)
                position += len(indices)
                for index, text in zip(indices, words, strict=True):
                    trained.setdefault(index, []).append(text)
    seen = Seen(used, s)
    for index, picture in enumerate(used):
        places = [seen.place(picture.path, number) for number in range(8)]
        shown = [draw_at(s, picture.words, place) for place in places if place is not None]
        assert [draw.text for draw in shown] == trained[index]
        assert [draw.dropped for draw in shown] == [not text for text in trained[index]]
    assert seen.place(Path("other.png"), 0) is None


def test_another_draw_is_another_order_and_another_seed_too() -> None:
    s = settings(shuffle_caption=True, keep_tokens=1)
    shown = [draws(s, TAGS, number) for number in range(20)]
    assert len({draw.text for draw in shown}) > 10
    assert all(draw.text.startswith("ohwx, ") and not draw.alike for draw in shown)
    assert {draws(s, TAGS, 3, seed=seed).text for seed in range(5)} != {shown[3].text}
    assert draws(s, TAGS, 3) == shown[3]


def test_an_empty_draw_is_told_from_an_empty_caption() -> None:
    s = settings(caption_dropout_rate=1.0)
    assert draws(s, TAGS, 0).dropped
    assert not draws(settings(), "", 0).dropped
    assert draws(settings(), TAGS, 0).alike
    assert draws(settings(), "", 0, class_words="man").text == "man"
    assert not draw_at(s, "", Place(1, 1, 0)).dropped
