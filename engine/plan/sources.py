"""What can be downloaded: an https address of a file, or the name of a model on Hugging Face. Only texts are looked at;
whether there is anything behind them, the download finds out.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from engine.plan.errors import UserError

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
TOKENS = {"huggingface.co": "HF_TOKEN", "civitai.com": "CIVITAI_TOKEN"}
"""Host to the environment variable with the token for it; no other host is sent one."""

LONGEST_FILE_NAME = 200  # bytes; 255 are the most that disks take, and `.part.json` comes behind it
_SECRETS = frozenset({"token", "api_key", "apikey", "key", "access_token", "auth", "password", "secret"})
_WEIGHTS = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
_NAMED = re.compile(r"filename\*\s*=\s*UTF-8''([^;]+)|filename\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;]+))", re.IGNORECASE)


@dataclass(frozen=True)
class HubModel:
    """A repository on Hugging Face, as `stabilityai/stable-diffusion-xl-base-1.0`."""

    name: str


@dataclass(frozen=True)
class Address:
    """An https URL, without anything secret in it: it ends in job.toml and logs."""

    url: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


def source_of(text: str, *, schemes: tuple[str, ...] = ("https",)) -> HubModel | Address:
    """What somebody wants to be downloaded. schemes: tests also allow http.

    Raises UserError `not-https`, `token-in-url`, `not-a-source`.
    """
    text = text.strip()
    if "://" not in text:
        if is_hub_name(text):
            return HubModel(text)
        raise UserError(
            "not-a-source",
            f"{text or 'An empty text'} is neither a URL nor the name of a model on Hugging Face.",
            "Give an https URL, or a name such as stabilityai/stable-diffusion-xl-base-1.0.",
        )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not text.isprintable() or " " in text:
        raise UserError("not-a-source", f"{text} is not a URL.", "Copy it again, all of it.")
    if parts.username is not None or parts.password is not None:
        raise _secret(f"https://{host}", "A user name or password", host)
    if any(name.lower() in _SECRETS for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise _secret(f"https://{host}{parts.path}", "A token", host)
    if parts.scheme.lower() not in schemes:
        raise UserError(
            "not-https",
            f"{parts.scheme}://{host} is not downloaded: only https tells who sends the file.",
            "Use the https URL.",
        )
    return Address(parts._replace(fragment="").geturl())


def _secret(where: str, what: str, host: str) -> UserError:
    variable = TOKENS.get(host, "")
    hint = f"Leave it out of the URL and set {variable} in the environment." if variable else "Leave it out of the URL."
    return UserError("token-in-url", f"{what} stands in the URL {where}, and would be written into logs.", hint)


def is_hub_name(text: str) -> bool:
    """Whether a text may be the name of a model on Hugging Face; a path of two parts may look the same."""
    if not HUB_NAME.fullmatch(text) or ".." in text or "--" in text or text.lower().endswith(_WEIGHTS):
        return False
    return not any(part.endswith((".", "-")) for part in text.split("/"))


def is_source(text: str) -> bool:
    """Whether `source_of` would take it."""
    try:
        source_of(text)
    except UserError:
        return False
    return True


def download_command(text: str) -> str:
    """The line that downloads it."""
    return f"lora-tui download {shlex.quote(text)}"


def file_name(disposition: str, url: str) -> str:
    """A safe name for a downloaded file, ending in .safetensors: from the header Content-Disposition, else the URL.

    It has no folder in it, begins with no dot, and nothing in it could be obeyed by a terminal.
    """
    found = _NAMED.search(disposition)
    named = ""
    if found is not None:
        named = unquote(found[1]) if found[1] else _as_sent(re.sub(r"\\(.)", r"\1", found[2] or found[3] or ""))
    for name in (named, unquote(urlsplit(url).path.rpartition("/")[2])):
        if safe := _safe(name):
            return safe
    return "model.safetensors"


def _as_sent(text: str) -> str:
    """Headers are read as Latin-1; many servers write UTF-8 into them."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _safe(name: str) -> str:
    name = unicodedata.normalize("NFC", name.replace("\\", "/")).rpartition("/")[2]
    kept = "".join(letter if letter.isprintable() and letter not in '<>:"|?*' else "_" for letter in name)
    stem = kept.strip(" .")
    if stem.lower().endswith(".safetensors"):
        stem = stem[: -len(".safetensors")]
    while len(os.fsencode(stem)) > LONGEST_FILE_NAME:
        stem = stem[:-1]
    stem = stem.strip(" .")
    return f"{stem}.safetensors" if stem.strip("_") else ""
