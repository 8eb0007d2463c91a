"""What the steps have in common when they are asked and answered: numbered rows, and words that do something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engine.plan.errors import UserError
from lora_tui.no_folder import no_folder
from lora_tui.paths import clean
from lora_tui.steps import Standing, StepName

if TYPE_CHECKING:
    from lora_tui.draft import Draft
    from lora_tui.prompts.talk import Talk
    from lora_tui.prompts.walk import Walk
    from lora_tui.survey import Survey


@dataclass(frozen=True)
class Row:
    """A numbered line. choose: what its number does."""

    says: str
    choose: Callable[[], object]


class PlainStep:
    """One step. A subclass gives `NAME`, `WORDS`, `tell` and `rows`, and obeys its words by methods `do_WORD`."""

    NAME: ClassVar[StepName]
    WORDS: ClassVar[Mapping[str, str]] = {}
    """What may be typed here besides the words that work everywhere, and what it does."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    @property
    def talk(self) -> Talk:
        return self.walk.talk

    @property
    def draft(self) -> Draft:
        return self.walk.wizard.draft

    @property
    def survey(self) -> Survey:
        """The newest one; waits for it."""
        return self.walk.survey()

    def tell(self) -> None:
        """What is to be known here, before the rows."""

    def missing(self, standing: Standing) -> str:
        """What is not there yet, or worth a look."""
        return standing.missing

    def rows(self) -> list[Row]:
        return []

    def choose(self, number: int) -> None:
        """Do what the number stands for."""
        rows = self.rows()
        if 1 <= number <= len(rows):
            rows[number - 1].choose()
        else:
            self.talk.say(f"There is no row {number}." + (f" They go from 1 to {len(rows)}." if rows else ""))

    def do(self, word: str, rest: str) -> bool:
        """Obey a word of this step; whether it is one."""
        if word not in self.WORDS:
            return False
        getattr(self, f"do_{word}")(rest)
        return True

    def edited(self, trouble: UserError | None, said: str = "") -> None:
        """After an edit: what went wrong, or what was done; and everything is checked anew."""
        self.walk.wizard.edited(trouble)
        if trouble is not None:
            self.talk.say(f"Error: {self.draft.trouble_words if trouble is self.draft.trouble else trouble}")
        else:
            self.talk.say(said or "Saved.")

    def explain(self, text: str, *whole: str) -> None:
        self.talk.explain(text, *whole)

    def ask_folder(self, question: str) -> str | None:
        """A folder that is there; None where somebody would rather not."""
        while text := self.talk.ask(question):
            folder = clean(text)
            try:
                if Path(folder).is_dir():
                    return folder
            except (OSError, ValueError):
                pass
            self.talk.say(f"Error: {no_folder(folder)} Type another one.")
        return None
