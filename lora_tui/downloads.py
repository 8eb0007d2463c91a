"""Downloads of base models as runs of the engine, for the command and for the wizard."""

from __future__ import annotations

from pathlib import Path

from engine.plan.files import absolute_path
from engine.plan.sources import Address, source_of
from engine.runs.folder import RunFolder, create
from engine.runs.job import Job
from lora_tui.outside import cached_runs_dir

SCHEMES: tuple[str, ...] = ("https",)


def make_run(what: str, to: Path | None = None, full_precision: bool = False) -> tuple[RunFolder, str]:
    """(the run folder with the job, what it is called). Raises UserError as `source_of` does."""
    source = source_of(what, schemes=SCHEMES)
    if isinstance(source, Address):
        name, title = source.url, f"{Path(source.url.partition('?')[0]).name or source.host}"
    else:
        name = title = source.name
    arguments = {
        "what": name,
        "to": str(absolute_path(to)) if to is not None else None,
        "full_precision": full_precision or None,
    }
    return create(cached_runs_dir(), Job("download", name=title, device="cpu", arguments=arguments)), title
