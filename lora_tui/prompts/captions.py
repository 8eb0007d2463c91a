"""Captions by prompts: one picture after the other, its caption read, and typed anew where it is to be another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from engine.plan import caption_edits
from engine.plan.caption_edits import Change
from engine.plan.caption_files import contents, digest_of, write_caption
from engine.plan.caption_history import History, Outcome
from engine.plan.caption_readings import readings
from engine.plan.captions import NotUTF8Error, read_caption
from engine.plan.dataset import Picture
from engine.plan.errors import UserError, inert, plural
from engine.plan.subjects import Subjects
from lora_tui.caption_finding import replacing
from lora_tui.prompts.step import PlainStep
from lora_tui.prompts.talk import BACK
from lora_tui.steps import StepName


class CaptionsStep(PlainStep):
    NAME: ClassVar[StepName] = "captions"
    WORDS: ClassVar[Mapping[str, str]] = {
        "m": "write those that are missing, or without the trigger word, one after the other",
        "all": "go through all captions, one after the other",
        "read": "read all captions",
        "auto": "have them written by a captioner",
        "replace": "find and replace in all captions; every change is read before it is made",
        "front": "put words, such as the trigger, in front of all captions that do not begin with them",
        "u": "take back what was done to captions last, also before the app was started; then the project's changes",
        "y": "do again what was taken back",
    }

    def tell(self) -> None:
        if (recovered := self._history.recovered) is not None:
            self._done(recovered)
        pictures = self._pictures()
        missing = len(self._missing())
        self.talk.say(f"{plural(len(pictures), 'picture')}, {missing} without a caption or without the trigger word.")
        triggers = " or ".join(subject.trigger for subject in self._subjects.all)
        self.explain(
            f"A caption says what the picture shows. Begin with the trigger word, {triggers or 'which is missing'}, "
            "and say what is not the subject itself: clothes, place, light. What you name stays changeable later."
        )

    def choose(self, number: int) -> None:
        pictures = self._pictures()
        if 1 <= number <= len(pictures):
            self._write(pictures[number - 1 : number])
        else:
            self.talk.say(f"There is no picture {number}; there are {len(pictures)}.")

    def do_m(self, rest: str) -> None:
        self._write(self._missing())

    def do_all(self, rest: str) -> None:
        self._write(self._pictures())

    def do_auto(self, rest: str) -> None:
        from lora_tui.prompts.captioning import Captioning

        Captioning(self.draft, self.talk).run()
        self.walk.wizard.look_again()

    def do_read(self, rest: str) -> None:
        for number, picture in enumerate(self._pictures(), 1):
            words = picture.caption if picture.caption_path is not None else "no caption"
            self.talk.say(f"{number}. {picture.path.name}: {words}")

    # ------------------------------------------------------------------------------------------------- many at once
    def do_replace(self, rest: str) -> None:
        find = rest or self.talk.ask("What is to be found")
        if not find:
            return
        by = self.talk.prompt(f"What takes the place of {find}; Enter alone removes it, q leaves:")
        self._change(f'"{find}" becomes "{by}"', lambda: replacing(find, by, "text"))

    def do_front(self, rest: str) -> None:
        triggers = self._subjects.triggers_of(picture.path for picture in self._pictures())
        usual = (
            f"puts {triggers[0]}, there" if len(triggers) == 1 else "puts the trigger word of its folder before each"
        )
        words = rest or self.talk.ask("What is to stand in front", usual if triggers else "goes back")
        if words:
            self._change(f"Put {words.strip()} in front", lambda: caption_edits.prefixed(words))
        elif triggers:
            what = f"{triggers[0]}," if len(triggers) == 1 else "the trigger words"
            subjects = self._subjects

            def each(there: Mapping[Path, str | None]) -> list[caption_edits.Change]:
                begins = {path: f"{subjects.of_picture(path).trigger}, " for path in there}
                of = (
                    caption_edits.changes({path: there[path]}, caption_edits.prefixed(begins[path])) for path in there
                )
                return [change for found in of for change in found]

            self._change_each(f"Put {what} in front", each)

    def _change(self, what: str, operation: Callable[[], caption_edits.Operation]) -> None:
        self._change_each(what, lambda there: caption_edits.changes(there, operation()))

    def _change_each(
        self, what: str, changes_of: Callable[[Mapping[Path, str | None]], list[caption_edits.Change]]
    ) -> None:
        """Read every change, and make them all if somebody says yes."""
        there = {p.path: p.caption if p.caption_path is not None else None for p in self._pictures()}
        try:
            changes = changes_of(there)
            if not changes:
                self.talk.say("There is nothing to change.")
                return
            for change in changes:
                self.talk.say(f"{change.picture.name}: {change.before or 'no caption'}")
                self.talk.say(f"  becomes: {change.after}")
            if self.talk.sure(f"{plural(len(changes), 'caption')} would be changed. Change them?"):
                self._done(self._history.apply(what, changes))
            else:
                self.talk.say("All captions are as they were.")
        except UserError as error:
            self.talk.say(f"Error: {error}")

    @property
    def _history(self) -> History:
        return History(self.draft.path, str(self.draft.value("caption_extension")))

    def do_u(self, rest: str) -> None:
        history = self._history
        if not history.undo_label:
            self.walk.take_back()
            return
        self._turn(history.undo)

    def do_y(self, rest: str) -> None:
        self._turn(self._history.redo)

    def _turn(self, turn: Callable[[], Outcome | None]) -> None:
        try:
            outcome = turn()
        except UserError as error:
            self.talk.say(f"Error: {error}")
            return
        if outcome is None:
            self.talk.say("There is nothing to do again.")
        else:
            self._done(outcome)

    def _done(self, outcome: Outcome) -> None:
        self.walk.wizard.look_again()
        self.talk.say(outcome.sentence)

    @property
    def _subjects(self) -> Subjects:
        dataset, project = self.survey.dataset, self.draft.project
        if dataset is None:
            return Subjects.of(project.trigger, project.class_name, ())
        return dataset.subjects(project.trigger, project.class_name)

    def _pictures(self) -> list[Picture]:
        dataset = self.survey.dataset
        return list(dataset.used_of("train")) if dataset is not None else []

    def _missing(self) -> list[Picture]:
        """Those without a caption, or with one that does not name what they show."""
        subjects = self._subjects
        there = ((p, p.caption if p.caption_path is not None else "") for p in self._pictures())
        return [p for p, caption in there if not caption or subjects.lacks_trigger(p.path, caption)]

    def _write(self, pictures: list[Picture]) -> None:
        if not pictures:
            self.talk.say("There is none to write.")
            return
        self.explain(
            "Type a caption and Enter. Enter alone keeps what is there, b goes back to the picture before, end ends "
            "this, q leaves."
        )
        at = 0
        while 0 <= at < len(pictures):
            at += self._one(pictures[at], f"{at + 1} of {len(pictures)}")
        self.walk.wizard.look_again()
        self.talk.say("All are saved.")

    def _mend(self, picture: Picture, path: Path) -> bool:
        """Offer to read a caption in another way that is not UTF-8; whether it was written so."""
        try:
            data = contents(path)
            for reading in readings(data or b""):
                if self.talk.sure(f"As {reading.encoding} it reads: {inert(reading.text)}. Write it so?"):
                    change = Change(picture.path, None, reading.text, seen=digest_of(data))
                    outcome = self._history.apply(f"the caption of {picture.path.name}", [change])
                    self.talk.say(f"{outcome.sentence} u takes it back.")
                    return not outcome.conflicts
        except UserError as error:
            self.talk.say(f"Error: {error}")
        return False

    def _one(self, picture: Picture, where: str) -> int:
        """Ask for one caption; how many pictures to go on by."""
        extension = str(self.draft.value("caption_extension"))
        try:
            now = read_caption(picture.path, extension, "")
        except NotUTF8Error as error:
            self.talk.say(f"{where}: {inert(error.path.name)} is not UTF-8 at byte {error.byte}.")
            return self._one(picture, where) if self._mend(picture, error.path) else 1
        self.talk.say(f"{where}: {picture.path}, {picture.width} by {picture.height}. {now.text or 'No caption yet.'}")
        if now.further:
            self.talk.say("Its file has more lines; a change here drops them.")
        while text := self.talk.prompt("Caption>"):
            if text.casefold() == "end":
                return 1_000_000_000
            if text.casefold() == BACK:
                return -1
            if text.startswith(":"):  # what editors are left by
                self.talk.say("No caption begins with a colon. end ends this, b goes back to the picture before.")
                continue
            try:
                write_caption(self.draft.path, picture.path, text, extension)
            except UserError as error:
                self.talk.say(f"Error: {error}")
                continue
            if self._subjects.lacks_trigger(picture.path, text):
                trigger = self._subjects.of_picture(picture.path).trigger
                self.talk.say(f"Saved. The trigger word {trigger} is not in it; b goes back to it.")
            return 1
        return 1
