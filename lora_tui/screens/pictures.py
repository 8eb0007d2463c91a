"""The pictures that are trained: what becomes of each, and bringing more of them in."""

from __future__ import annotations

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
from engine.plan.picture_report import PictureReport
from lora_tui.aside import aside, or_error
from lora_tui.folder_contents import fitted
from lora_tui.progress import amount
from lora_tui.project_edits import left_out_or_not, left_out_too
from lora_tui.screens import picture_rows
from lora_tui.screens.list_page import LARGE_KEY, NAME_CELLS, ListPage
from lora_tui.screens.sentences import Says
from lora_tui.steps import Standing, StepName
from lora_tui.widgets.lines import Lines
from lora_tui.widgets.listing import Listing
from lora_tui.widgets.paint import BAD, DIM, PLAIN, STRONG, WARN, line
from lora_tui.widgets.picture import Picture

if TYPE_CHECKING:
    from engine.plan.dataset import Dataset
    from engine.plan.take_over import Taken

SHAPES_SMALL, SHAPES_ROOMY, SHAPES_HUGE = 3, 5, 12  # rows of the chart
SAID_SMALL, SAID_ROOMY = 5, 10  # lines about one picture
SIZE_CELLS, BUCKET_CELLS = 10, 12  # columns of a row behind the name
CURSOR_CELLS = 3
LEAST_SAID, MOST_SMALL, MOST_ROOMY = 2, 7, 12  # with what becomes of its size, and the key for near-copies


class PicturesPage(ListPage):
    """A row for each picture: size, the bucket it is trained in, what is wrong with it. Files are only read."""

    STEP: ClassVar[StepName] = "pictures"
    KIND: ClassVar[Kind] = "train"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "leave_out", "leave out", id="leave_out", tooltip="Do not train this picture, or do again."),
        Binding(
            "c", "leave_out_copies", "copies out", id="leave_out_copies",
            tooltip="Of pictures that are nearly the same, keep the best and leave out the others.",
        ),
        Binding("j", "remarked", "next remark", id="remarked", tooltip="The next picture with something against it."),
        Binding("a", "add", "add pictures", id="add", tooltip="Take pictures over from a folder, with their captions."),
        Binding("f", "browse", "browse", id="browse", tooltip="Look for a folder of pictures on this machine."),
        LARGE_KEY,
    ]  # fmt: skip

    def __init__(self, pages: object) -> None:
        super().__init__(pages)
        self._left_out: frozenset[str] = frozenset()  # as the project says now, which the survey may not know yet
        self._cancel: threading.Event | None = None
        self._height = 0  # lines, of what is said of a picture
        self._height_of: tuple[object, object, object] = (None, None, None)  # for what that was worked out

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
        about = self.query_one("#about", Lines)
        height = self._said_height()
        about.styles.height = height + 1  # a blank line above
        about.show(picture_rows.within(self.remarks(), height, self.room))

    @property
    def report(self) -> PictureReport:
        """What is known of the pictures by their pixels."""
        survey = self.wizard.survey
        return survey.report if survey is not None and survey.report is not None else PictureReport()

    def summary(self) -> list[Text]:
        """How many there are, how many of them are well, and in which shapes they are trained, at the top."""
        survey = self.wizard.survey
        if survey is None or survey.dataset is None or survey.settings is None:
            return [line((" none yet", DIM))]
        roomy = self.has_class("-roomy")
        rows = [picture_rows.counted(survey.dataset, survey.settings, self.report)]
        looking = line((f" {self.wizard.examined}", DIM)) if self.wizard.examined else None
        rows.append(looking or picture_rows.standing(self.report))
        most = SHAPES_HUGE if self.has_class("-huge") else SHAPES_ROOMY if roomy else SHAPES_SMALL
        rows += picture_rows.chart(survey.dataset, most)
        return [*rows, line()] if roomy else rows

    def remarks(self) -> list[Text]:
        """What is wrong with the chosen picture, below."""
        entry = self.here
        if entry is None:
            words = "20 to 30 good pictures are best: sharp, your subject alone, different places, clothes and light."
            how = line((f" {self.key('add')}", STRONG), (" takes them from a folder.", DIM))
            return [line((f" {words}", DIM)), how]
        return self._said_of(entry)

    def _said_of(self, entry: Entry) -> list[Text]:
        most = SAID_ROOMY if self.has_class("-roomy") else SAID_SMALL
        if self._is_left_out(entry) and not _broken(entry):
            back = line((" Left out; ", DIM), (self.key("leave_out"), STRONG), (" takes it back.", DIM))
            return [back, *picture_rows.said_of(self.report.of(entry), self.room, most - 1, remedies=False)]
        rows = picture_rows.said_of(self.report.of(entry), self.room, most)
        if not rows:
            fine = "Kept for validation, not trained." if entry.validates else "Nothing to remark on this picture."
            rows.append(line((f" {fine}", DIM)))
        if any(finding.code == "near-copy" for finding in self.report.of(entry)):
            what = " keeps the best of all near-copies, and leaves the others out."
            rows.append(line((f" {self.key('leave_out_copies')}", STRONG), (what, DIM)))
        fate = picture_rows.fate(entry)
        return [line((f" {fate}", PLAIN)), *rows] if fate and len(rows) < most else rows

    def _said_height(self) -> int:
        """As many lines as any picture of the list needs, so that the list stays where it is when another is chosen.

        Thousands that have the same kinds of remarks are judged by the one with the longest.
        """
        report, roomy = self.report, self.has_class("-roomy")
        known, shown, room = self._height_of
        if report is not known or shown is not self.shown or room != (self.room, roomy):
            self._height_of = report, self.shown, (self.room, roomy)
            longest = picture_rows.longest_remarks(self.shown, report)
            needed = max((len(self._said_of(entry)) for entry in longest), default=LEAST_SAID)
            self._height = max(LEAST_SAID, min(needed, MOST_ROOMY if roomy else MOST_SMALL))
        return self._height

    def row_of(self, entry: Entry) -> Text:
        name = fitted(entry.path.name, NAME_CELLS - 1)
        size = f"{entry.width}×{entry.height}" if entry.width else "-"
        bucket = f"→ {entry.bucket[0]}×{entry.bucket[1]}" if entry.bucket[0] else ""
        broken = _broken(entry)
        left_out = not broken and self._is_left_out(entry)
        style = BAD if broken else DIM if left_out else PLAIN
        found = self.report.of(entry)
        cells = self.listing.room.width - NAME_CELLS - SIZE_CELLS - BUCKET_CELLS - CURSOR_CELLS
        note = picture_rows.left_out_notes(found, cells) if left_out else picture_rows.notes(found)
        note = note or ("validation" if entry.validates else "")
        against = left_out or any(finding.level != "note" for finding in found)
        columns = ((f"{size:<{SIZE_CELLS}}", DIM), (f"{bucket:<{BUCKET_CELLS}}", DIM))
        return line((f"{name} ", style), *columns, (note, WARN if against else DIM))

    def sentence(self, standing: Standing) -> Says:
        if self._cancel is not None:
            return "ok", "Pictures are being taken over; Esc stops that."
        return super().sentence(standing)

    # ----------------------------------------------------------------------------------------------------------- keys
    def action_leave_out(self) -> None:
        if self.here is not None:
            self.done(self.draft.edit(left_out_or_not(self.here.path)))

    def action_leave_out_copies(self) -> None:
        """Of each group of near-copies all but the best, in one edit."""
        worse = self._worse()
        if worse:
            trouble = self.draft.edit(left_out_too(picture.path for picture in worse))
            said = f"{plural(len(worse), 'near-copy', 'near-copies')} left out, the best of each kept"
            self.done(trouble, f"{said}; {self.key('undo')} takes them back.")

    def _worse(self) -> list[Entry]:
        """From the page of regularisation pictures only those."""
        return [picture for picture in self.report.worse() if self.KIND in ("train", picture.kind)]

    def action_remarked(self) -> None:
        """To the next picture that has something against it; after the last one comes the first."""
        here = self.listing.here
        for index in (*range(here + 1, len(self.shown)), *range(here + 1)):
            entry = self.shown[index]
            if any(finding.level != "note" for finding in self.report.of(entry)) and not self._is_left_out(entry):
                self._news = None
                self.listing.choose(index)
                self.show_all()
                return
        self.say("ok", "There is nothing against any of them.")

    def _is_left_out(self, entry: Entry) -> bool:
        return self.draft.project.relative(entry.path) in self._left_out

    def action_home(self) -> None:
        if self._cancel is not None:
            self._cancel.set()
        else:
            super().action_home()

    def offered(self, action: str) -> bool:
        if action == "leave_out_copies":
            return bool(self._worse())
        if action in ("leave_out", "large", "remarked"):
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

    def _take(self, folder: str, link: bool, class_name: str = "") -> None:
        from engine.plan.take_over import take_over

        self._cancel = cancel = threading.Event()
        project, loop_show, began = self.draft.project, self.app.call_from_thread, time.monotonic()

        def told(done: int, total: int) -> None:
            if done % 20 == 0:
                how_far = amount(done, total, seconds=time.monotonic() - began)
                loop_show(self.say, "ok", f"Taking pictures over: {how_far}. Esc stops that.")

        def work() -> Taken:
            return take_over(
                project, absolute_path(folder), self.KIND, link=link, class_name=class_name,
                progress=told,
                cancelled=cancel.is_set,
            )  # fmt: skip

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


def _broken(entry: Entry) -> bool:
    """Whether it cannot be trained, whoever wants it."""
    return bool(entry.problems) and not entry.bucket[0]
