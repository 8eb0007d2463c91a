"""Regularisation pictures: ordinary ones of the class, which keep it as it is. None, or from a folder."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from engine.plan.folders import Kind
from lora_tui.screens.pictures import PicturesPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.paint import DIM, STRONG, line
from lora_tui.words import paragraph


class RegularisationPage(PicturesPage):
    """As the pictures, with how many are needed and why."""

    STEP: ClassVar[StepName] = "regularisation"
    KIND: ClassVar[Kind] = "reg"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "from a folder", id="add", tooltip="Take regularisation pictures over from a folder."),
    ]

    def summary(self) -> list[Text]:
        kind = self.draft.project.class_name or "the class"
        words = f"Ordinary pictures of {kind}: without them every {kind} may come to look like yours. Many do without."
        rows = paragraph(words, self.room)
        dataset = self.dataset
        if dataset is None:
            return rows
        steps = dataset.steps
        needed = steps.num_train_images
        rows.append(line(" As many as your own with their repeats are used: ", (f"{needed:,}", STRONG)))
        if steps.num_reg_on_disk:
            times = f"{steps.num_reg_images / steps.num_reg_on_disk:.1f}" if steps.num_reg_images else "0"
            there = f" {steps.num_reg_on_disk:,} are here; each is seen about {times} times an epoch."
            rows.append(line((there, DIM)))
        else:
            rows.append(line((f" None are here. {min(needed, 200):,} are plenty: they are repeated as needed.", DIM)))
        return rows

    def remarks(self) -> list[Text]:
        return super().remarks() if self.shown else []

    def sentence(self, standing: Standing) -> Says:
        if standing.mark == "done" and not self.shown:
            return "ok", f"You may do without: {self.key('next')} goes on. {self.key('add')} takes some from a folder."
        return super().sentence(standing)
