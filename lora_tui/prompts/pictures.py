"""The pictures by prompts: what becomes of each, and taking more over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from engine.plan.dataset import Dataset, Picture
from engine.plan.errors import Finding, UserError, inert, plural
from engine.plan.files import absolute_path
from engine.plan.folders import Kind
from engine.plan.picture_report import PictureReport
from engine.plan.take_over import Taken, take_over
from lora_tui.aside import or_error
from lora_tui.explanations import ABOUT
from lora_tui.follow import count_interrupts
from lora_tui.in_rows import in_rows
from lora_tui.progress import amount
from lora_tui.project_edits import left_out_or_not, left_out_too
from lora_tui.prompts.step import PlainStep
from lora_tui.steps import StepName

LEFT_OUT = "It is left out."
WAIT_SECONDS = 0.1
CUT_TOLD = 0.01
SHOWN = 20  # rows that are read aloud without being asked for


class PicturesStep(PlainStep):
    NAME: ClassVar[StepName] = "pictures"
    KIND: ClassVar[Kind] = "train"
    WORDS: ClassVar[Mapping[str, str]] = {
        "add": "take pictures over from a folder",
        "copies": "leave out those that are nearly the same as another, and keep the best of each",
        "wait": "wait until all pictures were looked at for blur and near-copies",
        "all": "read every picture, not only those with something to remark",
    }

    def tell(self) -> None:
        dataset = self.survey.dataset
        if dataset is None:
            self.explain(ABOUT["images"])
            return
        used = dataset.used_of("train")
        self.talk.say(f"{plural(len(used), 'picture')}, seen {dataset.steps.num_train_images} times in an epoch.")
        shapes = Counter(picture.bucket for picture in used)
        said = ", ".join(self._shape(dataset, shape, count) for shape, count in shapes.most_common())
        self.talk.say(f"They are trained in these sizes: {said}.")
        self.talk.say(f"Your pictures: {self._report.tally}.")
        if self.walk.wizard.examining:
            how_far = self.walk.wizard.examined or "Blur and near-copies are still being looked for"
            self.talk.say(f"{how_far}. Type wait to hear of it when it is done, or go on.")
        self._say_remarkable()

    @property
    def _report(self) -> PictureReport:
        return self.survey.report or PictureReport()

    def _shape(self, dataset: Dataset, shape: tuple[int, int], count: int) -> str:
        cut = dataset.cut_in(shape)
        return f"{count} at {shape[0]} by {shape[1]}" + (f" with {cut:.0%} cut off" if cut >= CUT_TOLD else "")

    def _against(self, picture: Picture) -> tuple[Finding, ...]:
        return self._report.of(picture)

    def do_copies(self, rest: str) -> None:
        worse = [picture for picture in self._report.worse() if self.KIND in ("train", picture.kind)]
        if not worse:
            self.talk.say("None that was looked at is nearly the same as another.")
            return
        self.talk.say(f"Those are: {', '.join(inert(picture.name, 60) for picture in worse[:SHOWN])}.")
        if self.talk.sure(f"Leave {plural(len(worse), 'picture')} out of the training?"):
            trouble = self.draft.edit(left_out_too(picture.path for picture in worse))
            self.edited(trouble, "Left out. Type u to take that back.")

    def do_wait(self, rest: str) -> None:
        wizard = self.walk.wizard
        with count_interrupts() as presses:
            while wizard.examining and not presses():
                time.sleep(WAIT_SECONDS)
                if wizard.examined:
                    self.talk.say_sometimes(f"{wizard.examined}. Ctrl-C stops waiting.")
        self.tell()

    def _say_remarkable(self) -> None:
        pictures = self._pictures()
        told = [(n, picture) for n, picture in enumerate(pictures, 1) if self._against(picture) or picture.left_out]
        if not told:
            self.talk.say("There is nothing to remark of any of them." if pictures else "There are none.")
        elif len(told) > SHOWN:
            self.talk.say(f"{len(told)} of them have something to remark; the first {SHOWN} follow.")
        for number, picture in told[:SHOWN]:
            words = f"{self._words(picture)} {LEFT_OUT if picture.left_out else ''}".strip()
            self.talk.say(f"Picture {number}, {picture.path.name}: {words}")

    def _words(self, picture: Picture) -> str:
        """What is against a picture; what to do about it only where the user has not left it out."""
        done = picture.left_out and bool(picture.bucket[0])
        return " ".join(in_rows(found.message if done else str(found)) for found in self._against(picture))

    def _pictures(self) -> list[Picture]:
        dataset = self.survey.dataset
        return [p for p in dataset.pictures if p.kind == self.KIND] if dataset is not None else []

    def choose(self, number: int) -> None:
        pictures = self._pictures()
        if not 1 <= number <= len(pictures):
            self.talk.say(f"There is no picture {number}; there are {len(pictures)}.")
            return
        picture = pictures[number - 1]
        self.talk.say(f"{picture.path.name}, {picture.width} by {picture.height}. {self._fate(picture)}")
        if self.talk.sure("Train it again?" if picture.left_out else "Leave it out of the training?"):
            self.edited(self.draft.edit(left_out_or_not(picture.path)))

    def _fate(self, picture: Picture) -> str:
        if picture.left_out:
            return f"{LEFT_OUT} {self._words(picture)}".strip()
        trained = f"It is trained at {picture.bucket[0]} by {picture.bucket[1]}." if picture.bucket[0] else ""
        return f"{trained} {self._words(picture)}".strip()

    def do_all(self, rest: str) -> None:
        pictures = self._pictures()
        for begin in range(0, len(pictures), SHOWN):
            for number, picture in enumerate(pictures[begin : begin + SHOWN], begin + 1):
                self.talk.say(f"{number}. {picture.path.name}. {self._fate(picture)}")
            more = len(pictures) - begin - SHOWN
            if more > 0 and self.talk.ask(f"{more} more", "reads on"):
                return
        self.talk.say("The number of a picture leaves it out, or takes it back." if pictures else "There are none.")

    def do_add(self, rest: str) -> None:
        folder = self.ask_folder("From which folder? Type its path")
        if folder is None:
            return
        class_name = self.ask_class()
        self.explain(ABOUT["link"])
        link = self.talk.ask("Type link to link them", "copies them").casefold() == "link"
        project = self.draft.project
        began = time.monotonic()

        def told(done: int, total: int) -> None:
            self.talk.say_sometimes(f"{amount(done, total, 'pictures', time.monotonic() - began)}.")

        with count_interrupts() as presses:
            self.talk.say("Taking pictures over. Ctrl-C stops that.")
            done = or_error(
                partial(
                    take_over, project, absolute_path(folder), self.KIND, link=link, class_name=class_name,
                    progress=told,
                    cancelled=lambda: presses() > 0,
                ),
                "The pictures could not be taken over",
            )  # fmt: skip
            stopped = presses() > 0
        self._taken(done, stopped)

    def ask_class(self) -> str:
        """The class that pictures show which are taken over; "" for the project's own."""
        return ""

    def _taken(self, done: Taken | UserError, stopped: bool) -> None:
        if isinstance(done, UserError):
            self.talk.say(f"Error: {done}")
            return
        self.talk.say(f"{done} Then you stopped it." if stopped else str(done))
        self.walk.wizard.look_again()
        self.tell()
