"""Options of the jobs that prepare a training: captioning, and making regularisation pictures.

They stand in project.toml in tables of their own, declared like a training's options and read as strictly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal, get_args

from pydantic import ValidationError

from engine.plan.captioning import CaptioningOptions
from engine.plan.errors import UserError
from engine.plan.nearest import nearest
from engine.plan.option import Option, OptionGroup, describe
from engine.plan.option_reading import bad_value, in_own_type, parse
from engine.plan.regularising import RegularisingOptions

JobTable = Literal["captioning", "regularising"]
"""The tables of project.toml that hold them."""
TABLES: tuple[JobTable, ...] = get_args(JobTable)

_GROUPS: dict[JobTable, type[OptionGroup]] = {"captioning": CaptioningOptions, "regularising": RegularisingOptions}


@cache
def job_options(table: JobTable) -> Mapping[str, Option]:
    """Every option of a job by its name, in the order of a form."""
    return {name: describe(name, field) for name, field in _GROUPS[table].model_fields.items()}


def check_job_names(table: JobTable, names: Iterable[str], where: str = "") -> None:
    """Refuse names that are no options of the job. Raises UserError `unknown-option`."""
    known = job_options(table)
    for name in names:
        if name not in known:
            place = f"{where}: " if where else ""
            near = f"The nearest one is {nearest(name, known)}."
            raise UserError("unknown-option", f'{place}"{name}" is not an option of [{table}].', near)


def captioning(*layers: Mapping[str, object], where: str = "") -> CaptioningOptions:
    """The options of captioning that `layers` give together, later ones over earlier ones, all over the defaults.

    Raises UserError: `unknown-option`, `bad-value`.
    """
    found = resolve_job("captioning", *layers, where=where)
    assert isinstance(found, CaptioningOptions)
    return found


def regularising(*layers: Mapping[str, object], where: str = "") -> RegularisingOptions:
    """As `captioning`, of making regularisation pictures."""
    found = resolve_job("regularising", *layers, where=where)
    assert isinstance(found, RegularisingOptions)
    return found


def parse_job_text(table: JobTable, name: str, text: str) -> object:
    """The value that a text means for an option of the job. Raises UserError: `unknown-option`, `bad-value`."""
    check_job_names(table, [name])
    return parse(job_options(table)[name], text)


def resolve_job(table: JobTable, *layers: Mapping[str, object], where: str = "") -> OptionGroup:
    """The options of the job that has this table. Raises UserError as `captioning` does."""
    known, merged = job_options(table), dict[str, object]()
    for layer in layers:
        check_job_names(table, layer, where)
        merged |= {name: in_own_type(known[name], value) for name, value in layer.items()}
    try:
        return _GROUPS[table].model_validate(merged)
    except ValidationError as error:
        key = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        raise bad_value(known[key], merged.get(key), where) from None
