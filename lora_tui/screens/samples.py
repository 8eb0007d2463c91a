"""Sample pictures: the panel of the dashboard, and one picture as large as the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from engine.plan.errors import inert
from engine.runs.folder import RunFolder
from engine.runs.snapshot import Sample
from engine.runs.state import Observation
from lora_tui.screens.page import Page
from lora_tui.screens.series import Gallery
from lora_tui.widgets.hints import Hints
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.paint import DIM, STRONG, WARN, Part, line
from lora_tui.widgets.picture import Picture
from lora_tui.widgets.sharp import SharpPicture

MOST_SIDE_BY_SIDE = 4
SMALLEST_CELLS = 16  # a narrower picture shows nothing


def caption(gallery: Gallery) -> list[Part]:
    """Which picture this is: step, place in time, place among the prompts."""
    sample = gallery.current
    if sample is None:
        return [(" no sample yet", DIM)]
    keys = gallery.keys
    now = keys.index((sample.prompt, sample.seed, sample.weight)) + 1
    parts: list[Part] = [" ", (f"step {sample.step:,}", STRONG)]
    parts.append((f"  {gallery.at + 1} of {len(gallery.series)} in time", DIM if gallery.following else WARN))
    if len(keys) > 1:
        parts.append((f"  prompt {now} of {len(keys)}", DIM))
    if sample.weight == 0:
        parts.append(("  without the LoRA", DIM))
    if sample.asked:
        parts.append(("  asked for", DIM))
    return parts


def prompt(sample: Sample | None) -> list[Part]:
    if sample is None:
        return [""]
    seed = f"  seed {sample.seed}" if sample.seed is not None else ""
    return [f" {inert(sample.prompt)}", (seed, DIM)]


class SamplesPanel(Vertical):
    """The newest picture of one prompt, and where there is room the ones before it at its left."""

    def __init__(self, run: RunFolder, gallery: Gallery, *, id: str, classes: str) -> None:
        super().__init__(id=id, classes=classes)
        self._run, self._gallery = run, gallery
        self._fitting = 1

    def compose(self) -> ComposeResult:
        with Horizontal(id="pictures"):
            for number in range(MOST_SIDE_BY_SIDE):
                yield Picture(id=f"picture{number}")
        yield Lines(id="caption")

    def on_resize(self) -> None:
        width, height = self.size.width, max(1, self.size.height - 2)
        fitting = min(MOST_SIDE_BY_SIDE, width // max(SMALLEST_CELLS, 2 * height + 2))
        self._fitting = max(1, fitting) if getattr(self.app, "images", True) else 1
        self.paint()

    def paint(self) -> None:
        """Show what the gallery is at; files that are shown already are not read again."""
        shown = self._gallery.last(self._fitting)
        for number, picture in enumerate(self.query(Picture)):
            picture.display = number < max(1, min(self._fitting, len(shown)))
            if number < len(shown):
                picture.show_path(self._run.absolute(shown[number].path))
            elif number == 0:
                picture.show_path(None)
        first: list[Part] = caption(self._gallery)
        if len(shown) > 1:
            first.append((f"  from left: {', '.join(f'{sample.step:,}' for sample in shown)}", DIM))
        self.query_one("#caption", Lines).show([line(*first), line(*prompt(self._gallery.current))])


class SamplesScreen(Page[None]):
    """One picture, large; through time with the same prompt and seed, and through the prompts."""

    CSS_PATH = "samples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left", "time(-1)", "earlier", id="earlier", tooltip="The picture before, of the same prompt and seed."
        ),
        Binding("right", "time(1)", "later", id="later", tooltip="The picture after."),
        Binding("up", "prompt(-1)", "", show=False, tooltip="The prompt before."),
        Binding("down", "prompt(1)", "prompt", id="prompt", tooltip="The next prompt, at the same step."),
        Binding("0", "time(-100000)", "first", id="first", tooltip="The first picture."),
        Binding("9", "time(100000)", "newest", id="newest", tooltip="The newest picture; new ones are then followed."),
        Binding("escape", "back", "back", id="back", tooltip="Back to the dashboard."),
        Binding("g", "back", "back", show=False),
    ]

    def __init__(self, run: RunFolder, gallery: Gallery) -> None:
        super().__init__()
        self._run, self.gallery = run, gallery

    def compose(self) -> ComposeResult:
        yield Lines(id="header")
        look = getattr(self.app, "look", None)
        if look is not None and look.sharp is not None and look.images:
            yield SharpPicture(look.sharp, id="large")
        else:
            yield Picture(id="large")
        yield Lines(id="path")
        yield Hints(id="hints")

    def on_mount(self) -> None:
        self.paint()
        self.show_hints()

    def follow(self, seen: Observation) -> None:
        self.paint()

    def paint(self) -> None:
        sample = self.gallery.current
        path = self._run.absolute(sample.path) if sample is not None else None
        large = self.query_one("#large")
        if isinstance(large, Picture | SharpPicture):
            large.show_path(path)
        self.query_one("#header", Lines).show([line(*caption(self.gallery)), line(*prompt(sample))])
        self.query_one("#path", Lines).show([line((f" {self._shortened(path)}" if path is not None else "", DIM))])

    def _shortened(self, path: Path) -> str:
        """The path, cut at its beginning where it is too long: the end tells which picture it is."""
        shown, room = inert(path), self.app.size.width - 2
        return shown if len(shown) <= room else "…" + shown[1 - room :]

    def offered(self, action: str) -> bool:
        if action in ("earlier", "later", "first", "newest"):
            return len(self.gallery.series) > 1
        return action != "prompt" or len(self.gallery.keys) > 1

    def action_time(self, by: int) -> None:
        self.gallery.through_time(by)
        self.paint()

    def action_prompt(self, by: int) -> None:
        self.gallery.through_prompts(by)
        self.paint()

    def action_back(self) -> None:
        self.dismiss(None)
