"""How one option is declared: a pydantic field with words for a newcomer, and the `Option` that is read out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Kind = Literal["switch", "integer", "number", "choice", "open", "text", "path", "list"]
"""open: one of the choices, or a text of another kind (`Option.otherwise`)."""
Page = Literal["basic", "advanced", "samples"]
"""The parts of a form, as the guide has them."""


@dataclass(frozen=True)
class Option:
    """What a form or a help page needs to know about one option. minimum and maximum are allowed values themselves.

    words: what else people look for it by ("overfitting"). step: how far one press of an arrow key goes.
    """

    name: str
    title: str
    group: str
    help: str
    usual: str
    guide: str
    default: object
    kind: Kind
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    page: Page = "advanced"
    words: str = ""
    step: float = 1.0
    otherwise: str = ""


class OptionGroup(BaseModel):
    """Options that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def option(
    default: object,
    title: str,
    group: str,
    help: str,
    *,
    usual: str,
    guide: str,
    limits: tuple[float | None, float | None] = (None, None),
    page: Page = "advanced",
    words: str = "",
    step: float = 1.0,
    known: tuple[str, ...] = (),
    otherwise: str = "",
    path: bool = False,
) -> Any:
    """path: the text leads to a file or folder. `known`: a text that is one of these, or something else that its own
    validator judges. `otherwise`: in words, what that is; of a number, what holds beside its limits."""
    return Field(
        default,
        title=title,
        description=help,
        ge=limits[0],
        le=limits[1],
        json_schema_extra={
            "group": group,
            "usual": usual,
            "guide": guide,
            "minimum": limits[0],
            "maximum": limits[1],
            "page": page,
            "words": words,
            "step": step,
            "known": list(known),
            "otherwise": otherwise,
            "path": path,
        },
    )


def describe(name: str, field: FieldInfo) -> Option:
    """What was declared of the option `name`."""
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    kind, choices = _kind(field.annotation)
    if known := cast(list[str], extra["known"]):
        kind, choices = "open", tuple(known)
    elif extra["path"]:
        kind = "path"
    minimum, maximum = extra["minimum"], extra["maximum"]
    return Option(
        name=name,
        title=field.title or name,
        group=str(extra["group"]),
        help=field.description or "",
        usual=str(extra["usual"]),
        guide=str(extra["guide"]),
        default=field.default,
        kind=kind,
        choices=choices,
        minimum=minimum if isinstance(minimum, int | float) else None,
        maximum=maximum if isinstance(maximum, int | float) else None,
        page=cast(Page, extra["page"]),
        words=str(extra["words"]),
        step=float(cast(float, extra["step"])),
        otherwise=str(extra["otherwise"]),
    )


def _kind(annotation: object) -> tuple[Kind, tuple[str, ...]]:
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    if get_origin(annotation) is tuple:
        return "list", ()
    kinds: dict[object, Kind] = {
        bool: "switch",
        int: "integer",
        float: "number",
        int | float: "number",
        str: "text",
    }
    return kinds[annotation], ()
