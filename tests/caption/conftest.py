"""Small captioners with random weights, which are real code all the same, and a run of the job in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.caption import job as caption_job
from engine.context import JobContext
from engine.demo import blip_pretrain, blip_words
from engine.plan.project import Project
from engine.plan.settings import resolve
from engine.runs import folder as folders
from engine.runs.events import EventWriter, read_all
from engine.runs.folder import RunFolder
from engine.runs.job import Job
from tests.training import picture


@pytest.fixture(scope="session")
def blip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BLIP of the micro one's shape with random weights."""
    from transformers import BlipForConditionalGeneration, BlipImageProcessorPil, BlipProcessor

    folder = tmp_path_factory.mktemp("captioners") / "blip"
    vocabulary = blip_words.vocabulary()
    torch.manual_seed(3)
    BlipForConditionalGeneration(blip_pretrain.config(vocabulary)).save_pretrained(folder)
    squash = BlipImageProcessorPil(size={"height": blip_pretrain.SIDE, "width": blip_pretrain.SIDE})
    BlipProcessor(squash, blip_pretrain.tokenizer(vocabulary)).save_pretrained(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Five pictures without captions and a regularisation picture."""
    for number in range(5):
        picture(tmp_path / "face" / "img" / "10_ohwx man" / f"p{number}.png", number)
    picture(tmp_path / "face" / "reg" / "1_man" / "r.png", 9)
    return Project.open(tmp_path / "face")


def caption_of(project: Project, name: str) -> str | None:
    path = next(project.path.glob(f"*/*/{name}.png")).with_suffix(".txt")
    return path.read_text("utf-8").removesuffix("\n") if path.is_file() else None


class Caption:
    """Runs of the job. `stop`: set while one works, it ends at the next safe place."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.stop = threading.Event()

    def run(self, **options: object) -> RunFolder:
        job = Job(
            "caption",
            self.project.path,
            "face",
            trigger=self.project.trigger,
            class_name=self.project.class_name,
            settings=resolve({"pretrained_model_name_or_path": "micro"}),
            left_out=tuple(self.project.left_out),
            device="cpu",
            arguments={"options": {"num_beams": 1, "min_length": 2, "max_length": 8, **options}},
        )
        return folders.create(self.project.runs_dir, job)

    def work(self, run: RunFolder) -> dict[str, Any]:
        """As the engine does it; also once more on a run that an engine before has left."""
        self.stop.clear()
        with EventWriter(run.events_path) as events:
            return caption_job.run(JobContext(run, run.job, events, self.stop))

    def __call__(self, **options: object) -> dict[str, Any]:
        return self.work(self.run(**options))


@pytest.fixture
def caption(project: Project) -> Caption:
    return Caption(project)


def warnings_of(run: RunFolder) -> list[str]:
    return [event["code"] for event in read_all(run.events_path) if event["kind"] == "warning"]


Says = Callable[[Any], list[str]]
Put = Callable[[Says], None]


def named(pictures: Any) -> list[str]:
    return [f"a picture called {shown.path.stem}" for shown in pictures]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put a captioner in place of the loaded one: what it says is the test's business."""

    def put(say: Says) -> None:
        class Told:
            def caption(self, pictures: Any) -> list[str]:
                return say(pictures)

        monkeypatch.setattr(caption_job, "load", lambda *_: Told())

    return put
