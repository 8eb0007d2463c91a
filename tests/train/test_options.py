"""No option without a test that it does something; and the options of names, pictures, sizes and samples."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from engine.plan.dataset import Dataset, scan
from engine.plan.project import Project
from engine.plan.sample_prompts import STEPS_AND_GUIDANCE, SamplePrompt
from engine.plan.settings import options
from engine.train.job import prompts_to_draw
from tests.micro_model import base_of
from tests.training import Trained, Trainer, make_project, picture, settings


def test_every_option_has_a_test_in_which_it_changes_something() -> None:
    here = Path(__file__).parent
    tested = {
        name
        for file in here.glob("test_*.py")
        for test in re.findall(r"^def test_option_(\w+)\(", file.read_text(encoding="utf-8"), re.M)
        for name in test.split("_and_")
    }
    declared = {option.name for option in options()}
    assert declared - tested == set()
    assert tested - declared == set()


# --------------------------------------------------------------------------------------------------------------- names
@pytest.fixture(scope="module")
def named(train: Trainer) -> Trained:
    return train(output_name="mine", training_comment="for a friend")


def test_option_output_name(named: Trained) -> None:
    assert named.files == ["mine.safetensors"]
    assert named.saved("mine.safetensors").metadata["ss_output_name"] == "mine"


def test_option_training_comment(named: Trained, plain: Trained) -> None:
    assert named.saved("mine.safetensors").metadata["ss_training_comment"] == "for a friend"
    assert plain.lora.metadata["ss_training_comment"] == "trigger: ohwx"


def test_option_caption_extension(train: Trainer, plain: Trained) -> None:
    run = train(caption_extension=".caption")  # there are none, so the words of the folder are used
    assert json.loads(run.lora.metadata["ss_tag_frequency"]) == {"1_ohwx man": {"ohwx man": 4}}
    assert json.loads(plain.lora.metadata["ss_tag_frequency"])["1_ohwx man"]["ohwx"] == 4
    assert run.losses != plain.losses


# --------------------------------------------------------------------------------------------------------------- sizes
@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Pictures of 64×64 (three), 96×48 and 200×40."""
    root = make_project(tmp_path_factory.mktemp("sizes") / "project")
    picture(root / "img" / "1_ohwx man" / "wide.png", 9, (200, 40))
    return Project.open(root)


def planned(project: Project, **values: object) -> Dataset:
    return scan(project, settings(**values))


def test_option_resolution(project: Project) -> None:
    assert planned(project).buckets == {(64, 64): 3, (64, 32): 1, (80, 16): 1}
    small = planned(project, resolution="32,32").buckets
    assert small[(32, 32)] == 3
    assert all(width * height <= 32 * 32 for width, height in small)


def test_option_enable_bucket(project: Project) -> None:
    assert planned(project, enable_bucket=False).buckets == {(64, 64): 5}


def test_option_bucket_no_upscale(project: Project) -> None:
    kept, enlarged = (
        planned(project, resolution="128,128"),
        planned(project, resolution="128,128", bucket_no_upscale=False, min_bucket_reso=16),
    )
    assert kept.buckets[(64, 64)] == 3
    assert enlarged.buckets[(128, 128)] == 3


def test_option_bucket_reso_steps(project: Project) -> None:
    buckets = planned(project, bucket_reso_steps=32).buckets
    assert all(side % 32 == 0 for size in buckets for side in size)
    assert buckets != planned(project).buckets


def test_option_min_bucket_reso_and_max_bucket_reso(project: Project) -> None:
    def sides(**limits: int) -> set[int]:
        dataset = planned(project, bucket_no_upscale=False, **limits)
        return {side for size in dataset.buckets for side in size}

    free = sides(min_bucket_reso=16, max_bucket_reso=512)
    assert min(free) < 48
    assert max(free) > 96
    assert min(sides(min_bucket_reso=48, max_bucket_reso=512)) >= 48
    assert max(sides(min_bucket_reso=16, max_bucket_reso=96)) <= 96


def test_the_training_follows_the_plans_sizes(train: Trainer, plain: Trained) -> None:
    where = train.project()
    run = train(where, bucket_no_upscale=False, resolution="96,96", min_bucket_reso=16)
    plan = scan(Project.open(where), settings(bucket_no_upscale=False, resolution="96,96", min_bucket_reso=16))
    for made, buckets in ((plain, {(64, 64): 3, (64, 32): 1}), (run, plan.buckets)):
        told = json.loads(made.lora.metadata["ss_bucket_info"])["buckets"].values()
        assert {tuple(b["resolution"]): b["count"] for b in told} == buckets
    assert plan.buckets != {(64, 64): 3, (64, 32): 1}
    assert run.losses[0] != plain.losses[0]


# ------------------------------------------------------------------------------------------------------------- samples
@pytest.fixture(scope="module")
def sampled(train: Trainer) -> Trained:
    return train(
        max_train_epochs=2,
        sample_every_n_steps=2,
        sample_at_first=True,
        sample_prompts=("a cat --s 2 --w 64 --h 96 --d 5", "a dog --s 2"),
        learning_rate=0.05,
    )


def test_option_sample_every_n_steps(sampled: Trained, plain: Trained) -> None:
    assert sorted({event["step"] for event in sampled.of("sample")} - {0}) == [2, 4, 6]
    assert not plain.of("sample")
    files = sorted(path.name for path in sampled.run.samples_dir.iterdir())
    assert files == [
        f"step{step:08d}_{number:02d}_{seed}.png" for step in (0, 2, 4, 6) for number, seed in ((0, 5), (1, 7))
    ]
    first, last = (Image.open(sampled.run.samples_dir / f"step{step:08d}_00_5.png") for step in (0, 6))
    assert first.tobytes() != last.tobytes()  # the LoRA is in them


def test_option_sample_at_first(sampled: Trained) -> None:
    kinds = [event["kind"] for event in sampled.events if event["kind"] in ("sample", "step")]
    assert kinds[:3] == ["sample", "sample", "step"]
    assert sampled.of("sample")[0]["step"] == 0


def test_option_sample_prompts(sampled: Trained) -> None:
    assert [(e["prompt"], e["seed"]) for e in sampled.of("sample")[:2]] == [("a cat", 5), ("a dog", 7)]
    assert Image.open(sampled.run.samples_dir / "step00000000_00_5.png").size == (64, 96)
    assert Image.open(sampled.run.samples_dir / "step00000000_01_7.png").size == (64, 64)
    base = base_of(sampled.project)
    (default,) = prompts_to_draw(settings(resolution="96,64", seed=3), base, "ohwx", "man")
    expected = SamplePrompt("ohwx, a photo of a man", 96, 64, 3, "", *STEPS_AND_GUIDANCE["micro"])
    assert default == expected


def test_prompts_of_a_file_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("# two\na cat --s 3\na dog --ss heun\n", encoding="utf-8")
    values = settings(resolution="96,64", sample_prompts="prompts.txt", sample_sampler="ddim")
    cat, dog = prompts_to_draw(values, base_of(tmp_path), "ohwx", "man", tmp_path)
    assert (cat.prompt, cat.steps, cat.sampler, cat.width) == ("a cat", 3, "ddim", 96)
    assert (dog.prompt, dog.sampler) == ("a dog", "heun")


def test_option_sample_sampler(train: Trainer, sampled: Trained) -> None:
    line = "a cat --s 2 --w 64 --h 96 --d 5"
    prompts = (line, f"{line} --ss Euler", "a cat --s 1 --d -1")
    run = train(sample_at_first=True, sample_every_n_steps=3, sample_prompts=prompts, sample_sampler="Euler a")
    usual = (sampled.run.samples_dir / "step00000000_00_5.png").read_bytes()
    assert (run.run.samples_dir / "step00000000_00_5.png").read_bytes() != usual
    assert (run.run.samples_dir / "step00000000_01_5.png").read_bytes() == usual  # the line knows better
    first, second = (event["seed"] for event in run.of("sample") if "_02_" in event["path"])
    assert first != second
    assert 0 <= first < 2**32


def test_samples_change_nothing_in_the_training(train: Trainer, sampled: Trained) -> None:
    from tests.training import same

    assert same(train(max_train_epochs=2, learning_rate=0.05).lora, sampled.lora)
