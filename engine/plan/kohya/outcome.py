"""What became of a file of settings: every key is carried over to an option, or left out with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from engine.plan.errors import Finding, UserError, inert
from engine.plan.option_reading import in_own_type
from engine.plan.options import by_name
from engine.plan.settings import resolve, to_dict

Why = Literal[
    "project", "inert", "always", "unsupported", "program", "model", "unset", "differs", "bad-value", "unknown", "fact"
]
"""Why a key is not carried over: see WHY."""

WHY: dict[Why, str] = {
    "project": "Left to the project",
    "inert": "Without effect there too",
    "always": "Not needed here",
    "unsupported": "Not there here",
    "program": "About that program, not the training",
    "model": "For other kinds of models",
    "unset": "Not set there",
    "differs": "Not as it is there",
    "bad-value": "With a value that cannot be used",
    "unknown": "Not known",
    "fact": "Facts of that training, which set nothing",
}
"""As headings of their keys."""

OF_THE_PROJECT = frozenset(
    {"pretrained_model_name_or_path", "vae", "output_name", "training_comment", "network_weights"}
)
"""Options that are paths and names: no file of another training touches them."""

GRAVEST = ("kohya-lora-type", "kohya-other-model", "kohya-optimizer", "kohya-blocks")
"""Findings of what is not there here, which are told before all others."""

NO_SWITCH = "must be true or false"
"""The reason of a switch that cannot be read, which is none that is off."""

SHOWN_CHARACTERS = 60
MAX_REASON, MAX_MESSAGE = 500, 600
"""Characters of a reason and of a finding, in which words of the file may stand."""
_SECRET = ("_token", "api_key", "password", "secret")


@dataclass(frozen=True)
class Carried:
    """key and given: as they stand in the file. option: gets `value`. note: how it differs from what stood there.

    key is "" where the file says nothing and sd-scripts' own default holds.
    """

    key: str
    given: str
    option: str
    value: object
    note: str = ""


@dataclass(frozen=True)
class LeftOut:
    """A key that is not carried over. reason: a sentence, or a part of one after the key."""

    key: str
    given: str
    why: Why
    reason: str


@dataclass
class Outcome:
    """kind: what the file is, in words. settings: the values to set, each of which fits its option."""

    kind: str = ""
    settings: dict[str, object] = field(default_factory=dict)
    carried: list[Carried] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    """Options that the file has spoken on, so that no default of sd-scripts stands in for them."""

    def carry(self, key: str, given: object, option: str, value: object, note: str = "") -> bool:
        """Set an option; False where the value does not fit it, which is then told."""
        self.decided.add(option)
        if option in OF_THE_PROJECT:
            self.leave(key, given, "project", "names and paths of a project stay as they are")
            return False
        try:
            plain = in_own_type(by_name()[option], value)
            fitting = to_dict(resolve({option: plain}))[option]
        except UserError as error:
            self.leave(key, given, "bad-value", f"{error.message} {error.hint}".strip())
            return False
        self.settings[option] = fitting
        self.carried.append(Carried(key, shown(key, given), option, fitting, note))
        return True

    def leave(self, key: str, given: object, why: Why, reason: str, options: Iterable[str] = ()) -> None:
        """Leave a key out. options: those that it would have decided."""
        self.decided |= set(options)
        self.left_out.append(LeftOut(inert(key, 100), shown(key, given), why, inert(reason, MAX_REASON)))

    def find(self, code: str, message: str, hint: str = "", **more: object) -> None:
        """Say what differs from what somebody may expect; the gravest comes first, and notes last."""
        self.findings.append(Finding(code, inert(message, MAX_MESSAGE), hint, **more))  # type: ignore[arg-type]
        self.findings.sort(key=_gravity)

    def note(self, code: str, message: str, hint: str = "") -> None:
        """Say what is only to be known."""
        self.find(code, message, hint, level="note")

    def without(self, options: Iterable[str], reason: str) -> Outcome:
        """The same without some options, which are left out for a reason: those that no preset holds."""
        dropped = set(options) & set(self.settings)
        return Outcome(
            self.kind,
            {name: value for name, value in self.settings.items() if name not in dropped},
            [line for line in self.carried if line.option not in dropped],
            self.left_out
            + [LeftOut(line.key, line.given, "project", reason) for line in self.carried if line.option in dropped],
            self.findings,
            self.decided,
        )


def _gravity(finding: Finding) -> int:
    if finding.code in GRAVEST:
        return GRAVEST.index(finding.code)
    return len(GRAVEST) + (finding.level == "note")


def shown(key: str, value: object) -> str:
    """A value as it is shown: inert, short, and never a password or a token."""
    if value and key.lower().endswith(_SECRET):
        return "(not shown)"
    if isinstance(value, list | tuple):
        value = " ".join(str(item) for item in value[:50])
    return inert(str(value)[: 4 * SHOWN_CHARACTERS], SHOWN_CHARACTERS)
