"""What is predicted is what occurs: a batch holds one shape only, and few pictures of a shape make small ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.plan.dataset import Dataset, scan
from engine.plan.estimate import estimate
from engine.plan.gpu_catalogue import named
from engine.plan.hardware_checks import check_memory
from engine.plan.memory import bill, bill_of
from engine.plan.pace import rough
from engine.plan.prediction import predictor
from engine.plan.project import Project
from engine.plan.real_batches import Epoch, telling
from engine.plan.settings import Settings, resolve
from engine.plan.smaller_batches import smaller_batches
from lora_tui.estimate_texts import lines, verdict
from tests.plan.conftest import MakeFolder

SHAPES = [*[(1024, 1024)] * 4, *[(1216, 832)] * 2, *[(832, 1216)] * 2, *[(1152, 896)] * 2, *[(896, 1152)] * 2]
FEW_OF_A_SHAPE = "Batches have at most 4 pictures, as no shape has more."


@pytest.fixture
def twelve(tmp_path, pictures_in: MakeFolder) -> Project:
    """Twelve pictures in five shapes, each once in an epoch."""
    (tmp_path / "project.toml").write_text('[project]\nname = "zibo"\ntrigger = "zibo"\nclass = "man"\n')
    pictures_in(tmp_path / "img" / "1_zibo man", SHAPES, "zibo, a man")
    return Project.open(tmp_path)


def of(project: Project, **changes: object) -> tuple[Settings, Dataset]:
    settings = resolve({"train_batch_size": 8, **changes})
    return settings, scan(project, settings)


def trained(batch: int, size: tuple[int, int] = (1024, 1024)) -> int:
    return bill(resolve({"train_batch_size": batch}), size).phases["training"]


def test_a_batch_that_cannot_occur_needs_nothing(twelve: Project) -> None:
    settings, dataset = of(twelve)
    found = estimate(settings, dataset, named("RTX 4080 16GB").as_gpu())
    assert found.needs == trained(4)
    assert found.fits
    assert FEW_OF_A_SHAPE in verdict(found)[1]
    assert FEW_OF_A_SHAPE in "\n".join(lines(found))
    assert found.as_json()["largest_batch"] == 4
    small = replace(named("RTX 3060 12GB").as_gpu(), here=True)
    said = next(iter(check_memory(settings, small, predictor(settings, dataset))))
    assert said.code == "does-not-fit"
    assert FEW_OF_A_SHAPE in said.message


def test_repeats_fill_batches_up_and_nothing_is_said_of_those_that_are_full(twelve: Project) -> None:
    twelve.repeats["1_zibo man"] = 2
    settings, dataset = of(twelve)
    found = estimate(settings, dataset, named("RTX 4080 16GB").as_gpu())
    assert found.needs == trained(8)
    assert "Batches" not in verdict(found)[1]


def test_without_pictures_the_batch_that_was_asked_for_counts() -> None:
    found = estimate(resolve({"train_batch_size": 8}), None, None)
    assert found.needs == trained(8)
    assert found.as_json()["largest_batch"] is None


def test_a_smaller_resolution_places_the_pictures_anew(twelve: Project) -> None:
    settings, dataset = of(twelve, sample_every_n_steps=0)
    predict = predictor(settings, dataset)
    other = resolve({"train_batch_size": 8, "resolution": "512,512", "sample_every_n_steps": 0})
    epoch = predict.epoch(other)
    assert epoch is not None
    assert epoch.counts == scan(twelve, other).buckets
    assert predict(other) < predict(settings)


def test_of_several_gpus_each_has_its_share_of_a_batch() -> None:
    epoch = Epoch({(1024, 1024): 12, (768, 768): 3}, batch_size=8, processes=2)
    assert epoch.largest_of_each == [((1024, 1024), 6), ((768, 768), 2)]
    assert epoch.in_words == "A GPU has at most 6 at once, as no shape has more than 12 pictures."
    assert (epoch.batches, epoch.pictures) == (2, 15)


def test_each_phase_has_its_peak_in_a_batch_of_its_own() -> None:
    """Encoding takes one picture at a time, a step a whole batch."""
    settings = resolve({"train_batch_size": 8})
    many_small, one_large = ((512, 512), 8), ((1024, 1024), 1)
    told = bill_of(settings, [many_small, one_large, ((256, 256), 1)])
    assert told.phases["training"] == trained(8, (512, 512)) > trained(1)
    assert told.phases["caching"] == bill(settings, (1024, 1024)).phases["caching"]
    assert telling([many_small, one_large, ((256, 256), 1), ((512, 512), 3)]) == [one_large, many_small]


def test_a_step_takes_as_long_as_its_pictures_do(twelve: Project) -> None:
    """2.4 in the mean, where 8 were asked for."""
    gpu = named("RTX 3090").as_gpu()

    def seconds(batch: int, epoch: Epoch | None = None) -> float:
        pace = rough(resolve({"train_batch_size": batch}), gpu, epoch)
        assert pace is not None
        return pace.seconds_per_step

    settings, dataset = of(twelve)
    epoch = Epoch.of(settings, dataset.buckets)
    assert seconds(2) < seconds(8, epoch) < seconds(3)
    assert seconds(8, Epoch({(1024, 1024): 64}, 8)) == pytest.approx(seconds(8))
    assert seconds(8, Epoch({(1024, 1024): 64}, 8, accumulation=2)) == pytest.approx(2 * seconds(8))
    assert seconds(8, Epoch({(512, 512): 64}, 8)) < seconds(8)


def test_single_pictures_are_collected_to_the_largest_batch_there_was(twelve: Project) -> None:
    """Not to the one that was asked for, which would leave 2 steps of 5 in place of 3."""
    settings, dataset = of(twelve)
    (fix,) = estimate(settings, dataset, named("RTX 3060 12GB").as_gpu()).fixes
    assert fix.changes == {"train_batch_size": 1, "gradient_accumulation_steps": 4}
    assert fix.why == (
        "Fewer pictures at once; each step collects 4 batches, so it learns from 4 pictures, as now at most. An epoch "
        "has 3 steps then in place of 5; more epochs make up for it."
    )
    assert of(twelve, **fix.changes)[1].steps.steps_per_epoch == 3
    assert dataset.steps.steps_per_epoch == 5


@pytest.mark.parametrize(
    ("counts", "processes", "words"),
    [
        ({(1024, 1024): 64}, 1, "so it still learns from 8 pictures. Steps take a little longer."),
        ({(1024, 1024): 64}, 2, "so it still learns from 16 pictures. Steps take a little longer."),
        ({(1024, 1024): 799}, 1, "so it learns from 8 pictures, as now at most. Steps take a little longer."),
        ({(1024, 1024): 8, (768, 768): 1}, 1, "so it learns from 8 pictures, as now at most. Steps take a little"),
        (dict.fromkeys([(512 + side, 512) for side in range(4)], 1), 1, None),
    ],
)
def test_what_becomes_of_the_steps_is_said(
    counts: dict[tuple[int, int], int], processes: int, words: str | None
) -> None:
    settings = resolve({"train_batch_size": 8, "num_processes": processes})
    found = smaller_batches(settings, Epoch.of(settings, counts))
    single = next((each for each in found if each.pictures == 1), None)
    assert (single is None) == (words is None)
    if single is not None and words is not None:
        assert words in single.words
        assert single.changes == {"train_batch_size": 1, "gradient_accumulation_steps": 8}
