"""The pictures that are trained: what becomes of each, and bringing more of them in."""

from __future__ import annotations

import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from engine.plan.dataset import Picture as Entry
from engine.plan.errors import UserError, inert, plural
from engine.plan.files import absolute_path
from engine.plan.folders import Kind
from lora_tui.aside import aside, or_error
from lora_tui.folder_contents import fitted
from lora_tui.progress import amount
from lora_tui.project_edits import left_out_or_not
from lora_tui.screens.list_page import LARGE_KEY, NAME_CELLS, ListPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import BAD, DIM, PLAIN, STRONG, WARN, bar, line
from lora_tui.widgets.picture import Picture

if TYPE_CHECKING:
    from engine.plan.dataset import Dataset
    from engine.plan.take_over import Taken

SHAPES_SHOWN = 4


class PicturesPage(ListPage):
    """A row for each picture: size, the bucket it is trained in, what is wrong with it. Files are only read."""

    STEP: ClassVar[StepName] = "pictures"
    KIND: ClassVar[Kind] = "train"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add pictures", id="add", tooltip="Take pictures over from a folder, with their captions."),
        Binding("f", "browse", "browse", id="browse", tooltip="Look for a folder of pictures on this machine."),
        Binding("space", "leave_out", "leave out", id="leave_out", tooltip="Do not train this picture, or do again."),
        LARGE_KEY,
    ]

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._left_out: frozenset[str] = frozenset()  # as the project says now, which the survey may not know yet
        self._cancel: threading.Event | None = None

    def body(self) -> ComposeResult:
        yield Lines(id="summary")
        with Horizontal(id="side-by-side"):
            yield Listing(id="list")
            with Vertical(id="preview"):
                yield Picture(id="picture")
        yield Lines(id="about")

    @property
    def dataset(self) -> Dataset | None:
        return self.wizard.survey.dataset if self.wizard.survey is not None else None

    def update(self) -> None:
        dataset = self.dataset
        self._left_out = frozenset(self.draft.project.left_out)
        self.query_one("#summary", Lines).show(self.summary())
        self.show_list(dataset.of(self.KIND) if dataset is not None else ())
        self.query_one("#about", Lines).show(self.remarks())

    def summary(self) -> list[Text]:
        """How many there are and in which shapes, at the top."""
        dataset = self.dataset
        if dataset is None:
            return [line((" none yet", DIM))]
        used = dataset.used_of("train")
        steps = dataset.steps
        rows = [line((f" {plural(len(used), 'picture')}", STRONG), f", {steps.num_train_images:,} in an epoch")]
        shapes = dataset.buckets_of("train").most_common()
        most = shapes[0][1] if shapes else 1
        for (width, height), count in shapes[:SHAPES_SHOWN]:
            name = f" {width} × {height}"
            rows.append(line((f"{name:<14}", DIM), *bar(count, most, 16), (f" {count:,}", DIM)))
        if len(shapes) > SHAPES_SHOWN:
            rows.append(line((f" and {len(shapes) - SHAPES_SHOWN} more shapes", DIM)))
        return rows

    def remarks(self) -> list[Text]:
        """What is wrong with the chosen picture, below."""
        entry = self.here
        if entry is None:
            words = "20 to 30 good pictures are best: sharp, your subject alone, different places, clothes and light."
            how = line((f" {self.key('add')}", STRONG), (" takes them from a folder.", DIM))
            return [line((f" {words}", DIM)), how]
        said = [part for problem in entry.problems[:2] for part in textwrap.wrap(str(problem), self.room - 2)]
        fine = "kept for validation, not trained" if entry.validates else "nothing to remark on this picture"
        return [line((f" {part}", WARN)) for part in said] or [line((f" {fine}", DIM))]

    def row_of(self, entry: Entry) -> Text:
        name = fitted(entry.path.name, NAME_CELLS - 1)
        size = f"{entry.width} × {entry.height}" if entry.width else "-"
        bucket = f"→ {entry.bucket[0]} × {entry.bucket[1]}" if entry.bucket[0] else ""
        broken = bool(entry.problems) and not entry.bucket[0]
        left_out = not broken and self.draft.project.relative(entry.path) in self._left_out
        style = BAD if broken else DIM if left_out else PLAIN
        note = "left out" if left_out else short(entry) if entry.problems else "validation" if entry.validates else ""
        return line((f"{name} ", style), (f"{size:<12}", DIM), (f"{bucket:<14}", DIM), (note, WARN))

    def sentence(self, standing: Standing) -> Says:
        if self._cancel is not None:
            return "ok", "Pictures are being taken over; Esc stops that."
        return super().sentence(standing)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_leave_out(self) -> None:
        if self.here is not None:
            self.done(self.draft.edit(left_out_or_not(self.here.path)))

    def action_home(self) -> None:
        if self._cancel is not None:
            self._cancel.set()
        else:
            super().action_home()

    def offered(self, action: str) -> bool:
        if action in ("leave_out", "large"):
            return bool(self.shown)
        return super().offered(action)

    # --------------------------------------------------------------------------------------------- taking pictures over
    def action_add(self) -> None:
        from lora_tui.screens.take import TakeQuestion

        def answered(answer: tuple[str, bool] | None) -> None:
            if answer is not None:
                self._take(*answer)

        if self._cancel is None:
            self.app.push_screen(TakeQuestion(self.KIND, self.draft.path), answered)

    def action_browse(self) -> None:
        from lora_tui.screens.browse import Browse
        from lora_tui.screens.dialogs import Choice, Question

        def taken(path: Path | None) -> None:
            if path is None:
                return
            choices = [
                Choice("copy", "Copy them", "safe when the others are moved"),
                Choice("link", "Link them", "takes no room; they must stay where they are"),
                Choice("", "Leave it"),
            ]

            def chosen(how: str | None) -> None:
                if how:
                    self._take(str(path), how == "link")

            self.app.push_screen(Question(f"The pictures in {inert(path, 60)}", choices), chosen)

        if self._cancel is None:
            self.app.push_screen(Browse(Path.home(), title="Pictures to take over"), taken)

    def _take(self, folder: str, link: bool) -> None:
        from engine.plan.take_over import take_over

        self._cancel = cancel = threading.Event()
        project, loop_show, began = self.draft.project, self.app.call_from_thread, time.monotonic()

        def told(done: int, total: int) -> None:
            if done % 20 == 0:
                how_far = amount(done, total, seconds=time.monotonic() - began)
                loop_show(self.say, "ok", f"Taking pictures over: {how_far}. Esc stops that.")

        def work() -> Taken:
            return take_over(
                project, absolute_path(folder), self.KIND, link=link, progress=told, cancelled=cancel.is_set
            )

        self.say("ok", "Taking pictures over…")
        aside(lambda: or_error(work, "The pictures could not be taken over"), self._taken)

    def _taken(self, taken: Taken | UserError) -> None:
        stopped = self._cancel is not None and self._cancel.is_set()
        self._cancel = None
        if isinstance(taken, UserError):
            self._news = ("x", str(taken))
        else:
            self._news = ("!", f"{taken} Then you stopped it.") if stopped else ("ok", str(taken))
        self.wizard.look_again()
        self.show_all()


def short(entry: Entry) -> str:
    """What is wrong with a picture, in a word or two; the whole sentence stands below the list."""
    return entry.problems[0].code.replace("caption-missing", "no caption").replace("-", " ")
