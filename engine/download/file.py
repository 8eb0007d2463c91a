"""A base model in one file, by its URL: looked at as soon as its header is here, and put in place when it is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from engine.download.connection import Connection, shown, token_for
from engine.download.transfer import WAITS, Report, Transfer, Version, begun, beside
from engine.plan import checkpoint_kind
from engine.plan.errors import UserError
from engine.plan.files import disk_errors, sync_folder
from engine.plan.safetensors_header import read_header
from engine.plan.sources import file_name
from engine.runs import downloads


def download(
    url: str,
    folder: Path,
    report: Report,
    wait: Callable[[float], None],
    *,
    token: str | None = None,
    allow_http: bool = False,
    waits: Sequence[float] = WAITS,
) -> Path:
    """The model's path in `folder`; a file of the same name that lies there already is not touched.

    token: in place of the environment's. allow_http: for tests. Raises UserError: those of `Transfer.run`, and what
    `base_model.recognise` says of files that are no model to train on.
    """
    name = shown(url)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    connection = Connection(url, _token(url) if token is None else token, allow_http=allow_http)

    def place(disposition: str) -> Path:
        return _free_part(folder, file_name(disposition, url))

    def check(part: Path, size: int | None) -> None:
        try:
            check_model(part, name, size)
        except UserError as error:
            if error.code != "not-safetensors":
                raise
            # Servers that want a login often send its page instead of an error.
            message = f"{name} is not a .safetensors file, but a web page or something else."
            raise UserError(error.code, message, connection.login) from None

    if (there := downloads.of_url(url)) is not None and there.parent == folder:
        return there
    part, version = Transfer(connection, place, check, report, wait, waits).run(begun(folder, url))
    return _put_in_place(part, version)


def _token(url: str) -> str:
    parts = urlsplit(url)
    return token_for(parts.hostname or "") if parts.port in (None, 443) else ""


def check_model(part: Path, name: str, expected_size: int | None) -> None:
    """Refuse a file whose header says that no LoRA can be trained on it; `name` is what it is called.

    expected_size: of a file that is still coming, SIZE_UNKNOWN where the server did not say; None for a whole
    one.
    Raises UserError.
    """
    tensors, _ = read_header(part, expected_size=expected_size, name=name)
    checkpoint_kind.velocity_marks(name, tensors)
    checkpoint_kind.size_of(name, tensors)


def _free_part(folder: Path, name: str) -> Path:
    """NAME.part for a name that neither a file nor another download in `folder` has."""
    stem, number = name.removesuffix(".safetensors"), 1
    while True:
        name = f"{stem}.safetensors" if number == 1 else f"{stem}-{number}.safetensors"
        part = folder / f"{name}.part"
        if not any(os.path.lexists(path) for path in (folder / name, part, beside(part))):
            return part
        number += 1


def _put_in_place(part: Path, version: Version) -> Path:
    target = part.with_name(part.name.removesuffix(".part"))
    with disk_errors(target):
        if os.path.lexists(target):
            target = _free_part(part.parent, target.name)
            target = target.with_name(target.name.removesuffix(".part"))
        os.replace(part, target)
        beside(part).unlink(missing_ok=True)
        sync_folder(target.parent)
    downloads.remember(target, version.url)
    return target
