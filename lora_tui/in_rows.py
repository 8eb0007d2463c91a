"""What the engine says of options, in the words of the wizard: the titles of its rows for the options' names, and the
step where something is mended for the line that would mend it in a file or a shell.
"""

from __future__ import annotations

import re
from dataclasses import replace

from engine.plan.errors import Finding, UserError
from engine.plan.options import by_name
from lora_tui.steps import STEPS, number

_NAME = re.compile(r"(?<![\w/.\\-])[a-z]+(?:_[a-z0-9]+)+(?![\w/\\-]|\.\w)")  # and not a part of a path

_SET_LINE = re.compile(r"Set (\w+) = (\S+) in project\.toml, or --set \S+$")  # `remedy.set_line`, which ends a hint

_SEVERAL = re.compile(r"[\d,]+ (?:regularisation )?pictures ")  # how a finding about more than one picture begins


def in_rows(text: str) -> str:
    """With titles for the names of options, the step for a line of project.toml, and the screens' word for a command.
    (Names of one word, as seed, read well as they are.)"""
    text = _SET_LINE.sub(lambda found: f"Set {found[1]} to {found[2]} at step {_place('settings')}.", text)
    text = text.replace("that lora-tui estimate lists", "listed under memory")
    return _NAME.sub(lambda found: by_name()[found[0]].title if found[0] in by_name() else found[0], text)


def finding_in_rows(finding: Finding) -> Finding:
    """The same finding, with a remedy that is at hand in the wizard."""
    hint = in_rows(finding.hint)
    if finding.code in _REMEDIES:
        hint = (_REMEDIES_OF_SEVERAL if _SEVERAL.match(finding.message) else _REMEDIES)[finding.code]
    elif finding.changes:
        set_to = [f"{by_name()[name].title} to {_shown(value)}" for name, value in finding.changes.items()]
        hint = f"Set {', '.join(set_to)} at step {_place('settings')}."
    return replace(finding, message=in_rows(finding.message), hint=hint)


def error_in_rows(error: UserError) -> UserError:
    """The same error, as findings are."""
    return UserError(error.code, in_rows(error.message), _REMEDIES.get(error.code) or in_rows(error.hint))


def _shown(value: object) -> str:
    """A value as a person writes it; "nothing" for an empty one."""
    if isinstance(value, list | tuple):
        return " ".join(str(item) for item in value) or "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "nothing"


def _place(step: str) -> str:
    known = next(known for known in STEPS if known.name == step)
    return f"{number(known.name)}, {known.title}"


# By what was found, where a step of the wizard does what the engine can only tell people to do with their files.
_TAKES_OVER = f"Step {_place('pictures')}, takes pictures over from any folder."
_CAPTIONS = f"Step {_place('captions')}, is where it is written."
_REMEDIES = {
    "no-base-model": f"Step {_place('model')}, chooses one.",
    "no-picture-folder": _TAKES_OVER,
    "no-pictures": _TAKES_OVER,
    "pictures-outside-folders": f"Step {_place('pictures')}, takes them over, if they are to be used.",
    "broken-picture": f"Replace it with a whole copy, or leave it out at step {_place('pictures')}.",
    "picture-too-small": f"Replace it with a larger copy, or leave it out at step {_place('pictures')}.",
    "small-pictures": f"Look for a larger copy, or leave it out at step {_place('pictures')}.",
    "no-usable-picture": f"Add pictures at step {_place('pictures')}, or take some back in that are left out.",
    "no-regularisation": f"Step {_place('regularisation')}, makes some, takes some over, or holds the class without "
    "any; many people do without either.",
    "reg-often": f"Step {_place('regularisation')}, makes more or takes more over.",
    "caption-missing": _CAPTIONS,
    "caption-empty": _CAPTIONS,
    "caption-blank": _CAPTIONS,
}
_CAPTIONS_OF_SEVERAL = f"Step {_place('captions')}, is where they are written."
_REMEDIES_OF_SEVERAL = _REMEDIES | {
    "broken-picture": f"Replace them with whole copies, or leave them out at step {_place('pictures')}.",
    "picture-too-small": f"Replace them with larger copies, or leave them out at step {_place('pictures')}.",
    "small-pictures": f"Look for larger copies, or leave them out at step {_place('pictures')}.",
    "caption-missing": _CAPTIONS_OF_SEVERAL,
    "caption-empty": _CAPTIONS_OF_SEVERAL,
    "caption-blank": _CAPTIONS_OF_SEVERAL,
}
