"""sd-scripts' arguments as a file gives them, each with the key and the value that stand there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.plan.kohya.plain import is_empty


@dataclass(frozen=True)
class Said:
    """An argument: its value, the key and the value as they stand in the file, and how the two differ, in words."""

    value: object
    key: str
    given: object
    note: str = ""


@dataclass
class Arguments:
    """sd-scripts' arguments by name. `take` hands one out once; what was not taken in the end is not known.

    whole: whether it is a whole configuration, so that sd-scripts' defaults hold for what is not there. from_gui:
    whether kohya_ss' window wrote it. steps_per_epoch: of the project that it is for; None where that is not known.
    """

    said: dict[str, Said]
    whole: bool = False
    with_dataset: bool = False
    from_gui: bool = False
    steps_per_epoch: int | None = None
    taken: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, table: Mapping[str, object], **more: object) -> Arguments:
        """Those of a plain table."""
        return cls({key: Said(value, key, value) for key, value in table.items()}, **more)  # type: ignore[arg-type]

    def take(self, name: str) -> Said | None:
        """The argument, unless nothing is said by it; that it is known is noted."""
        self.taken.add(name)
        return self.said.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self.said

    def value(self, name: str) -> object:
        """Its value, without taking it."""
        return self.said[name].value if name in self.said else None

    def add(self, name: str, said: Said) -> Said | None:
        """Say `name`; where two spellings of it stand in the file, the one that says something. What lost, or None."""
        there = self.said.get(name)
        if there is not None and is_empty(said.value):
            return said
        self.said[name] = said
        return there
