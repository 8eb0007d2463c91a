"""The job that brings a base model or a captioner onto this machine: from a URL, or from Hugging Face by its name."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.context import JobContext, Progress, Stopped
from engine.download import file
from engine.plan.base_model import recognise
from engine.plan.byte_counts import size
from engine.plan.captioners import find
from engine.plan.errors import UserError
from engine.plan.sources import Address, HubModel, source_of
from engine.runs import downloads

SCHEMES: tuple[str, ...] = ("https",)  # tests have no certificates
POLL_SECONDS = 0.1


def run(context: JobContext) -> dict[str, Any]:
    """Arguments of the job: `what`, a URL or a name; `to`, a folder; `full_precision`, of a model on Hugging Face.

    The result has `path` (what the base model's setting is given), `source`, `bytes` and whether it is `complete`.
    """
    arguments = context.job.arguments
    source = source_of(str(arguments["what"]), schemes=SCHEMES)
    to = Path(str(arguments["to"])) if arguments.get("to") else None
    context.announce("network")
    counted = Counted(context)
    try:
        if isinstance(source, HubModel):
            path, said = _from_the_hub(context, source, to, counted)
        else:
            path, said = _from_an_address(context, source, to, counted)
    except Stopped:
        message = "Stopped; what has come is kept, and the same download goes on from there."
        return {"message": message, "path": None, "complete": False}
    finally:
        counted.close()
    count = _bytes_of(path)
    message = said or f"{path}, {size(count)}."
    source_text = source.name if isinstance(source, HubModel) else source.url
    return {"message": message, "path": str(path), "source": source_text, "bytes": count, "complete": True}


def _from_an_address(context: JobContext, source: Address, to: Path | None, counted: Counted) -> tuple[Path, str]:
    if to is None and (there := downloads.of_url(source.url)) is not None:
        recognise(there)
        return there, f"It was downloaded before: {there}."
    allow_http = "http" in SCHEMES
    folder = to or downloads.default_folder()
    return file.download(source.url, folder, counted, lambda s: wait(context, s), allow_http=allow_http), ""


def _from_the_hub(context: JobContext, source: HubModel, to: Path | None, counted: Counted) -> tuple[Path, str]:
    from engine.download import hub  # huggingface_hub takes a second, which a URL need not wait for

    full_precision = bool(context.job.arguments.get("full_precision"))
    try:
        path = hub.download(
            source.name,
            to,
            counted,
            lambda s: wait(context, s),
            full_precision=full_precision,
            allow_http="http" in SCHEMES,
        )
    except UserError as error:
        if error.code != "unreachable" or to is not None:
            raise
        there = _downloaded_before(source.name)
        if there is None:
            raise
        return there, f"{error.message} The model was downloaded before, and is used as it is."
    return path, ""


def _downloaded_before(name: str) -> Path | None:
    """A base model or a captioner that is here, whole."""
    for look in (lambda: recognise(name).path, lambda: find(name).path):
        with suppress(UserError):
            return look()
    return None


def wait(context: JobContext, seconds: float) -> None:
    """Sleep, or raise Stopped when somebody asks for it."""
    until = time.monotonic() + seconds
    while True:
        context.raise_if_stopped()
        left = until - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(POLL_SECONDS, left))


class Counted:
    """Reports bytes as one phase, which begins with what was here before: the time left is foreseen from the rest."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._progress: Progress | None = None
        self._phase: Any = None

    def __call__(self, here: int, total: int | None) -> None:
        if self._progress is None or here < self._progress.done:  # begun anew: another version of the file
            self.close()
            self._phase = self._context.phase("downloading", total, "bytes", done=here)
            self._progress = self._phase.__enter__()
        self._progress(here, total)

    def close(self) -> None:
        if self._phase is not None:
            self._phase.__exit__(None, None, None)
        self._phase = self._progress = None


def _bytes_of(path: Path) -> int:
    files = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    return sum(found.stat().st_size for found in files)
