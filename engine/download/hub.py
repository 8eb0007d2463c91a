"""An SDXL model or a captioner from Hugging Face, into huggingface_hub's own cache, where other programs find it too.

The library lists the files, fetches the small ones and keeps the cache. The weights come by `transfer`: the library
begins a file anew in each process, and a U-Net of 5 GB has to go on where it stopped.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, constants, get_token, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from engine.download import captioner_files
from engine.download.connection import Connection
from engine.download.transfer import WAITS, Report, Transfer, beside, require_room
from engine.plan.base_model import recognise
from engine.plan.errors import UserError, few
from engine.plan.files import atomic_write, disk_errors, sha256_file
from engine.plan.hub_cache import cached_model
from engine.plan.safetensors_header import read_header
from engine.runs import downloads

_WEIGHTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
    "text_encoder_2": "model",
}
_SMALL = re.compile(
    r"model_index\.json|scheduler/[\w.-]+\.json|tokenizer(_2)?/[\w.-]+\.(json|txt)|[a-z_2]+/config\.json"
)
MOST_SMALL_BYTES = 20_000_000
ALWAYS_PLAIN = "vae"  # it computes in fp32 here, and its plain file is small


@dataclass(frozen=True)
class HubFile:
    """bytes: of the whole. sha256: of a large file, which is also its name in the cache; "" for a small one."""

    name: str
    bytes: int
    sha256: str = ""


def download(
    name: str,
    cache: Path | None,
    report: Report,
    wait: Callable[[float], None],
    *,
    full_precision: bool = False,
    endpoint: str | None = None,
    allow_http: bool = False,
    waits: Sequence[float] = WAITS,
) -> Path:
    """The folder of the model `name` ("org/name"). cache: a hub cache, None for the user's own.

    full_precision: the 32-bit weights, where there are 16-bit ones as well. endpoint, allow_http: for tests.
    Raises UserError, and what report and wait raise.
    """
    for library in ("httpx", "httpx2", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)  # they would log every URL, signatures and all
    folder = Path(cache or constants.HF_HUB_CACHE)
    api = HfApi(endpoint=endpoint)
    with in_words(name):
        info = api.model_info(name, files_metadata=True)
    commit = str(info.sha)
    files = [
        HubFile(entry.rfilename, int(entry.size or 0), str(entry.lfs.sha256) if entry.lfs else "")
        for entry in info.siblings or ()
    ]
    captioner = captioner_files.is_captioner(files)
    shape = captioner_files.SMALL if captioner else _SMALL
    small = [file for file in files if shape.fullmatch(file.name) and file.bytes <= MOST_SMALL_BYTES]
    weights = captioner_files.needed_weights(name, files) if captioner else needed_weights(name, files, full_precision)

    def check(snapshot: Path) -> None:
        if captioner:
            captioner_files.check(snapshot, name)
        else:
            recognise(snapshot)

    def fetch(file: HubFile) -> Path:
        with in_words(name), disk_errors(folder):
            return Path(hf_hub_download(name, file.name, revision=commit, cache_dir=folder, endpoint=endpoint))

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for file in small:
        wait(0)
        fetch(file)
    snapshot = folder / f"models--{name.replace('/', '--')}" / "snapshots" / commit
    try:
        check(snapshot)
    except UserError as error:
        if error.code != "incomplete":
            raise
    blobs = snapshot.parents[1] / "blobs"
    missing = [file for file in weights if not (snapshot / file.name).exists()]
    parts = {file.name: blobs / f"{file.sha256}.part" for file in missing}
    here = {file.name: parts[file.name].stat().st_size if parts[file.name].is_file() else 0 for file in missing}
    total = sum(file.bytes for file in weights)
    require_room(folder, sum(file.bytes - here[file.name] for file in missing), name, total)
    done = total - sum(file.bytes for file in missing)
    report(done, total)
    for file in missing:
        if file.sha256 and not (blobs / file.sha256).exists():
            url = hf_hub_url(name, file.name, revision=commit, endpoint=endpoint)
            connection = Connection(url, token_for_hub(url), allow_http=allow_http)
            _fetch_blob(connection, file, parts[file.name], _beyond(report, done, total), wait, waits)
        fetch(file)  # finds it in its place, and links to it
        done += file.bytes
        report(done, total)
    _note_main(snapshot, commit)
    check(snapshot)
    if not captioner:  # the base models are listed where one is chosen
        downloads.remember(snapshot, name)
    return snapshot


def token_for_hub(url: str) -> str:
    """The user's token, from the environment or a login with the library's own tools; none for a mirror of the hub."""
    return get_token() or "" if url.startswith("https://huggingface.co/") else ""


def needed_weights(name: str, files: Sequence[HubFile], full_precision: bool) -> list[HubFile]:
    """The weights of a diffusers SDXL folder, each part in one precision: the 16-bit ones (half the size, and what
    training computes in), unless `full_precision` or where there are no others. Raises UserError `no-folder`.
    """
    found: list[HubFile] = []
    missing = []
    for part, stem in _WEIGHTS.items():
        kinds: dict[bool, list[HubFile]] = {}
        shape = re.compile(
            rf"{part}/{stem}(\.fp16)?(-\d{{5}}-of-\d{{5}})?\.safetensors"
            rf"|{part}/{stem}\.safetensors\.index(\.fp16)?\.json"
        )
        for file in files:
            if match := shape.fullmatch(file.name):
                kinds.setdefault(bool(match[1] or match[3]), []).append(file)
        half = not full_precision and part != ALWAYS_PLAIN
        chosen = kinds.get(half) or kinds.get(not half) or []
        whole = [file for file in chosen if "-of-" not in file.name and not file.name.endswith(".json")]
        found += whole or chosen  # one file where there is one, else its pieces and their index
        if not chosen:
            missing.append(part)
    if missing or not any(file.name == "model_index.json" for file in files):
        raise _no_folder(name, files, missing)
    return found


def _no_folder(name: str, files: Sequence[HubFile], missing: Sequence[str]) -> UserError:
    single = [file for file in files if "/" not in file.name and file.name.endswith(".safetensors")]
    what = f"it has no safetensors weights in {few(missing)}" if len(missing) < len(_WEIGHTS) else "it has none"
    hint = "Choose another SDXL model."
    if single:
        largest = max(single, key=lambda file: file.bytes)
        hint = f"Download its file: lora-tui download https://huggingface.co/{name}/resolve/main/{largest.name}"
    return UserError("no-folder", f"{name} on Hugging Face is not a whole model in diffusers' layout: {what}.", hint)


def _fetch_blob(
    connection: Connection,
    file: HubFile,
    part: Path,
    report: Report,
    wait: Callable[[float], None],
    waits: Sequence[float],
) -> None:
    """One file of weights under the name that the cache gives it: the SHA-256 of what is in it, which is checked."""

    def check(path: Path, size: int | None) -> None:
        if file.name.endswith(".safetensors"):
            read_header(path, expected_size=size, name=file.name)

    with disk_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
    transfer = Transfer(connection, lambda _: part, check, report, wait, waits)
    transfer.run(part if part.is_file() else None)
    with disk_errors(part):
        right = sha256_file(part) == file.sha256
        beside(part).unlink(missing_ok=True)
        if not right:
            part.unlink()
            raise UserError("damaged", f"{file.name} arrived damaged: its checksum is wrong.", "Download it again.")
        part.rename(part.with_suffix(""))


def _beyond(report: Report, done: int, total: int) -> Report:
    """Reports of one file as those of all."""
    return lambda here, _: report(done + here, total)


def _note_main(snapshot: Path, commit: str) -> None:
    """That this is the newest version, which the library notes down only where it is not told which."""
    ref = snapshot.parents[1] / "refs" / "main"
    with disk_errors(ref):
        ref.parent.mkdir(exist_ok=True)
    atomic_write(ref, commit)


@contextmanager
def in_words(name: str, what: str = "model") -> Iterator[None]:
    """What the library raises, as sentences. Its own texts may hold signed URLs. `what`: a model or a data set."""
    try:
        yield
    except GatedRepoError:
        page = f"https://huggingface.co/{'' if what == 'model' else 'datasets/'}{name}"
        hint = f"Accept its terms on {page}, and set your token: export HF_TOKEN=…"
        raise UserError("needs-login", f"{name} is not handed out to everybody.", hint) from None
    except RepositoryNotFoundError:
        raise UserError(
            "not-there",
            f"There is no {what} {name} on Hugging Face, or it is private.",
            "Check the name; for a private one set HF_TOKEN in the environment.",
        ) from None
    except EntryNotFoundError:
        raise UserError("not-there", f"A file of {name} is gone from Hugging Face.", "Try again.") from None
    except OfflineModeIsEnabled:
        raise _offline(
            name, "HF_HUB_OFFLINE is set, so nothing is downloaded.", "Unset it and try again", what
        ) from None
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", "?")
        raise UserError(
            "refused-by-server", f"Hugging Face answers with error {status} for {name}.", "Try again later."
        ) from None
    except UserError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's
        raise _offline(name, "Hugging Face cannot be reached.", "Check the network and try again", what) from None
    except Exception as error:
        if any("httpx" in kind.__module__ or "httpcore" in kind.__module__ for kind in type(error).__mro__):
            raise _offline(name, "Hugging Face cannot be reached.", "Check the network and try again", what) from None
        raise


def _offline(name: str, why: str, remedy: str, what: str) -> UserError:
    if what != "model":
        return UserError("unreachable", why, f"{remedy}.")
    if cached_model(name) is not None:
        return UserError("unreachable", why, f"{name} is on this machine already, and can be used as it is.")
    return UserError("unreachable", why, f"{remedy}, or give the path of a model that is on this machine.")
