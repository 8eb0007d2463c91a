"""This machine's GPUs as their driver tells, its processor, memory and way to the hub: lines of `lora-tui doctor`."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from engine.plan.byte_counts import size
from engine.plan.errors import few, inert
from engine.plan.gpus import MAKERS, Found, Gpu, gib
from engine.plan.machine import memory, processor
from lora_tui.check_line import Check
from lora_tui.hardware import gpus_here, planned
from lora_tui.torch_checkup import bf16_in_words

HUB = "https://huggingface.co"
HUB_SECONDS = 4.0
TAKEN_SHARE = 0.15  # of a card's memory that others may have before it is worth a word


def gpu_checks(found: Found | None = None) -> list[Check]:
    """The driver, each GPU, and what takes its memory now."""
    found = gpus_here(anew=True) if found is None else found
    lines = []
    if found.driver:
        newest = f", runs programs made for CUDA {found.cuda} and older" if found.cuda else ""
        lines.append(Check("driver", "ok", f"NVIDIA {found.driver}{newest}"))
    if found.problem:
        lines.append(Check("driver" if not found.driver else "GPU", "warning", found.problem, found.advice))
    elif not found.gpus:
        lines.append(Check("driver", "ok", f"{MAKERS['cpu']}: no GPU driver is installed"))
    for number, gpu in enumerate(found.gpus):
        lines.append(_gpu(gpu, "GPU" if len(found.gpus) == 1 else f"GPU {number}"))
    if (card := planned()) is not None:
        lines.append(Check("planned for", "ok", f"{card.name}, chosen in place of this machine's"))
    return lines


def _gpu(gpu: Gpu, name: str) -> Check:
    parts = [gpu.name, MAKERS[gpu.kind]]
    if gpu.total_bytes is not None:
        free = f", {gib(gpu.free_bytes)} of it free" if gpu.free_bytes is not None else ""
        parts.append(f"{gib(gpu.total_bytes)}{free}")
    if gpu.capability:
        parts.append(f"compute capability {gpu.capability_in_words}")
    parts.append(bf16_in_words(gpu.capability, gpu.bf16))
    taken = (gpu.total_bytes or 0) - (gpu.free_bytes or 0)
    advice = " ".join(gpu.remarks)
    if gpu.users:
        by = few((f"{user.name} ({gib(user.bytes)})" if user.bytes else user.name for user in gpu.users), 5)
        crowded = gpu.total_bytes is not None and taken > TAKEN_SHARE * gpu.total_bytes
        hint = "; close what is not needed" if crowded else ""
        advice = f"{advice} Its memory is used by {by}{hint}.".strip()
    return Check(name, "ok", ", ".join(parts), advice)


def cuda_check(found: Found, built_for: str | None) -> list[Check]:
    """Whether the driver is new enough for the CUDA that torch was built for: the first number counts (NVIDIA's minor
    version compatibility)."""
    if not built_for or not found.cuda:
        return []
    if _major(built_for) > _major(found.cuda):
        value = f"torch was built for CUDA {built_for}, and the driver runs only up to {found.cuda}"
        advice = f"Update the NVIDIA driver, or install torch's build for CUDA {_major(found.cuda)}: "
        return [Check("CUDA", "error", value, f"{advice}see https://pytorch.org/get-started/locally/")]
    return [Check("CUDA", "ok", f"torch was built for {built_for}, the driver runs up to {found.cuda}")]


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else 0


def processor_check() -> list[Check]:
    found = processor()
    return [Check("processor", "ok", f"{found.name}, {found.cores} core{'s' if found.cores > 1 else ''} for this")]


def memory_check() -> list[Check]:
    found = memory()
    limit = " (the limit of this container)" if found.limited else ""
    return [Check("memory", "ok", f"{size(found.total_bytes)}{limit}, {size(found.available_bytes)} of it free")]


def hub_checks() -> list[Check]:
    """Whether the hub answers, and whether there is a token; the token itself is never read."""
    return [_hub(), _token()]


def _hub() -> Check:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Check("hub", "ok", "not asked: HF_HUB_OFFLINE is set", "Unset it to download models.")
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB
    try:
        parts = urllib.parse.urlsplit(endpoint)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https"):
        return Check("hub", "warning", "HF_ENDPOINT is no address", f"Unset it, or set it to {HUB}")
    shown = f"{parts.scheme}://{host}"  # without a name or password that may stand in it
    why = _asked(endpoint)
    if why is None:
        return Check("hub", "ok", f"{shown} answers")
    advice = "Without it no model can be downloaded; those on this machine work. Behind a proxy, set HTTPS_PROXY."
    return Check("hub", "warning", f"{shown} does not answer: {why}", advice)


def _asked(endpoint: str) -> str | None:
    """Why there is no answer; None for one, whatever it is. In a thread: looking up a name cannot be told to hurry."""
    answer: list[str | None] = [f"nothing within {HUB_SECONDS:.0f} s"]

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD", headers={"User-Agent": "lora-tui"})
        try:
            with urllib.request.urlopen(request, timeout=HUB_SECONDS):
                answer[0] = None
        except urllib.error.HTTPError as error:
            answer[0] = None if error.code < 500 else f"it says {error.code}"
        except urllib.error.URLError as error:
            answer[0] = inert(getattr(error.reason, "strerror", None) or error.reason, 120)
        except Exception as error:  # an address that urllib cannot take, and the like
            answer[0] = inert(error, 120) or type(error).__name__

    asking = threading.Thread(target=ask, name="hub", daemon=True)
    asking.start()
    asking.join(HUB_SECONDS + 1)
    return answer[0]


def _token() -> Check:
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "huggingface"
    )
    path = Path(os.path.expanduser(os.environ.get("HF_TOKEN_PATH") or os.path.join(home, "token")))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name, "").strip():
            return Check("hub token", "ok", f"there is one, in {name}")
    try:
        there = path.is_file() and path.stat().st_size > 0
    except OSError:
        there = False
    if there:
        return Check("hub token", "ok", f"there is one, in {path}")
    value = "there is none; only models that ask for an agreement, and private ones, need one"
    return Check("hub token", "ok", value)
