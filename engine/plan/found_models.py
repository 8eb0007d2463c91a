"""Base models that lie on this machine already, found in the places where programs and people keep them.

Only folders are listed and headers read, within bounds, so that it takes a moment. A dead network disk can hold
it up for as long as it likes: ask in a thread.
"""

from __future__ import annotations

import glob
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.plan.base_model import BUILT_IN, BaseModel, recognise
from engine.plan.errors import UserError, inert
from engine.plan.hub_cache import hub_caches

SMALLEST_BYTES = 1_500_000_000  # no whole SDXL model is smaller, and LoRAs, VAEs and the like are
MOST_FOLDERS = 800  # read in all
MOST_FOLDERS_OF_ONE_PLACE = 200
MOST_ENTRIES = 3_000  # of one folder
MOST_MODELS = 100
MOST_SECONDS = 5.0
PRACTICE = "practice model"

# Where programs keep whole models, below a home folder, a rented machine's /workspace, and the like.
_PROGRAMS = (
    "stable-diffusion-webui*/models/Stable-diffusion",
    "*[Ff]orge*/models/Stable-diffusion",
    "*[Ff]orge*/webui/models/Stable-diffusion",
    "automatic/models/Stable-diffusion",
    "ComfyUI*/models/checkpoints",
    "ComfyUI*/models/diffusers",
    "SwarmUI/Models/Stable-[Dd]iffusion",
    "StabilityMatrix/Data/Models/StableDiffusion",
    "Fooocus*/models/checkpoints",
    "invokeai/models/sdxl/main",
    "kohya*/inputs",
    "kohya_ss*/models",
    "user_data/kohya/inputs",
)
_OWN = ("models", "Models")
_SHARED = ("/workspace", "/models", "/data/models", "/mnt/models")
_BASES = ("/workspace", "/opt", "/")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.safetensors$")  # parts of a language model, mostly
_PASSED_OVER = frozenset({"node_modules", "venv", "site-packages", "__pycache__", "proc", "sys", "dev"})
_COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2")

# What a refused model is called in a list, by the error's code.
_KINDS = {
    "is-a-lora": "LoRA",
    "edm-unsupported": "EDM model",
    "truncated": "not whole",
    "incomplete": "parts missing",
    "not-readable": "not readable",
    "is-a-pickle": "pickle",
    "not-safetensors": "not a model",
}
_IT_IS = re.compile(r"It is (?:an?|the) (.+?)(?: model\b.*| \(.*|, .*|\.)?$")
_IT_HOLDS = re.compile(r"It holds (only an? [\w-]+)")
_PIPELINE = re.compile(r"model_index\.json says (\w+)")


@dataclass(frozen=True)
class Found:
    """A base model. path: what the setting is given; `micro` for the built-in one, else absolute. size: bytes.

    kind: "SDXL", "v-prediction SDXL", "practice model", or in a few words what it is instead. trouble: the whole reason
    where it cannot be trained, or "".
    """

    path: Path
    size: int
    kind: str
    trouble: str = ""


@dataclass
class _Search:
    """What has been read so far, and what was found. Files and folders are known by what links to them lead to."""

    until: float
    folders_left: int = MOST_FOLDERS
    below: dict[tuple[int, int], list[str]] = field(default_factory=dict)  # of folders that were read
    models: dict[tuple[tuple[int, int], ...], tuple[Path, int]] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.folders_left <= 0 or len(self.models) >= MOST_MODELS or time.monotonic() > self.until

    def add_file(self, path: str) -> None:
        there = os.stat(path)
        self.models.setdefault(((there.st_dev, there.st_ino),), (Path(path), there.st_size))

    def add_folder(self, path: str) -> None:
        """A diffusers folder. It is the same as another one where all its weights are."""
        identities: list[tuple[int, int]] = []
        size = 0
        for component in _COMPONENTS:
            for entry in _entries(os.path.join(path, component)):
                if entry.name.endswith(".safetensors"):
                    there = entry.stat()
                    identities.append((there.st_dev, there.st_ino))
                    size += there.st_size
        if not identities:
            there = os.stat(path)
            identities = [(there.st_dev, there.st_ino)]
        self.models.setdefault(tuple(identities), (Path(path), size))


def found_models(project: Path | None, recent: Sequence[Path] = ()) -> list[Found]:
    """Candidates on this machine, those that can be trained first; the built-in practice model is always the last.

    project: its surroundings are looked at, too. recent: models used lately, which come first whatever their size, and
    beside which others are looked for. Never raises.
    """
    search = _Search(time.monotonic() + MOST_SECONDS)
    for path in recent:
        if os.path.isabs(path):
            _add_given(search, os.fspath(path))
    for place, depth in _places(project, recent):
        if search.over:
            break
        _walk(search, place, depth)
    found = []
    for path, size in search.models.values():
        if time.monotonic() > search.until:
            break
        model = _looked_at(path, size)
        if model is not None:
            found.append(model)
    return [*sorted(found, key=lambda model: bool(model.trouble)), _practice()]


def _add_given(search: _Search, path: str) -> None:
    try:
        if os.path.isfile(os.path.join(path, "model_index.json")):
            search.add_folder(path)
        elif os.path.isfile(path):
            search.add_file(path)
    except (OSError, ValueError):
        return


def _places(project: Path | None, recent: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """(folder, how deep below it), the likeliest first; a folder may come twice or not be there."""
    home = os.path.expanduser("~")
    for path in recent:
        if os.path.isabs(path):
            yield os.path.dirname(path), 0
    if project is not None:
        parent = os.path.dirname(os.path.abspath(project))
        yield from ((os.path.join(parent, name), 2) for name in _OWN)
        yield parent, 0
    yield from ((os.path.join(home, name), 2) for name in _OWN)
    for base in dict.fromkeys((home, *_BASES)):
        for program in _PROGRAMS:
            try:
                yield from ((place, 2) for place in sorted(glob.glob(os.path.join(glob.escape(base), program))))
            except (OSError, ValueError):
                continue
    for hub in dict.fromkeys(hub_caches(home)):
        yield from ((snapshot, 0) for snapshot in sorted(glob.glob(f"{glob.escape(hub)}/models--*/snapshots/*")))
    yield from ((place, 2) for place in _SHARED)
    yield os.path.join(home, "Downloads"), 0


def _walk(search: _Search, place: str, depth: int) -> None:
    """Look at a folder and at those below it, one level after the other."""
    level, left = [place], MOST_FOLDERS_OF_ONE_PLACE
    for _ in range(depth + 1):
        below: list[str] = []
        for folder in level:
            if search.over or left <= 0:
                return
            left -= 1
            below += _look_into(search, folder)
        level = sorted(below)


def _look_into(search: _Search, folder: str) -> list[str]:
    """Take the models directly in a folder; its folders, where it is worth going on."""
    below: list[str] = []
    files = []
    try:
        there = os.stat(folder)
        identity = (there.st_dev, there.st_ino)
        if identity in search.below:
            return search.below[identity]
        search.below[identity] = below
        search.folders_left -= 1
        whole = os.path.isfile(os.path.join(folder, "model_index.json"))
        if whole:
            search.add_folder(folder)
    except (OSError, ValueError):
        return []
    for entry in _entries(folder):
        try:
            name = entry.name
            if name.lower().endswith(".safetensors"):
                if not _SHARD.search(name) and entry.is_file() and entry.stat().st_size > SMALLEST_BYTES:
                    files.append(entry.path)
            elif not whole and not name.startswith(".") and name not in _PASSED_OVER and entry.is_dir():
                below.append(entry.path)
        except OSError:
            continue
    for path in sorted(files):
        try:
            search.add_file(path)
        except (OSError, ValueError):
            continue
    return below


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """A folder's entries, as many as are worth looking at; none where it cannot be read."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.append(entry)
                if len(found) >= MOST_ENTRIES:
                    break
    except (OSError, ValueError):
        pass
    return found


def _looked_at(path: Path, size: int) -> Found | None:
    """The model with its kind; None where no setting could name it."""
    text = str(path)
    if text != text.strip() or not _is_utf8(text):
        return None
    try:
        base = recognise(path)
    except UserError as error:
        return Found(path, size, _kind(error, path), str(error)) if error.code != "not-found" else None
    except Exception:  # a stranger's files may hold what nobody thought of
        return Found(path, size, "damaged", f"{inert(path)} cannot be read; it may be damaged.")
    return Found(path, size, _kind_of(base))


def _kind_of(base: BaseModel) -> str:
    if base.size == "micro":
        return PRACTICE
    return "SDXL" if base.prediction_type == "epsilon" else "v-prediction SDXL"


def _kind(error: UserError, path: Path) -> str:
    """What a refused model is, in two or three words."""
    if error.code != "not-sdxl":
        return _KINDS.get(error.code, "damaged" if error.code == "damaged" else "not usable")
    why = error.message.removeprefix(inert(path))
    for pattern in (_IT_IS, _IT_HOLDS, _PIPELINE):
        match = pattern.search(why)
        if match is not None:
            return inert(match[1], 40)
    return "not SDXL"


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _practice() -> Found:
    """The model that comes with the program."""
    try:
        files = recognise(BUILT_IN).path.glob("*/*.safetensors")
        size = sum(file.stat().st_size for file in files)
    except (UserError, OSError, ValueError) as error:
        return Found(Path(BUILT_IN), 0, PRACTICE, str(error))
    return Found(Path(BUILT_IN), size, PRACTICE)
