"""Files of sample prompts, as sd-scripts' `--sample_prompts` reads them (`train_util.load_prompts`).

`.txt`: a prompt line a line, `#` before comments. `.json`: a list of lines or of tables. `.toml`: what all prompts
share under `[prompt]`, and a `[[prompt.subset]]` for each. All become prompt lines, which a run keeps word
for word.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.plan.errors import UserError
from engine.plan.files import existing_path, reading_errors
from engine.plan.sample_prompts import parse

ENDINGS = (".txt", ".toml", ".json")
MAX_BYTES = 1 << 20
MAX_PROMPTS = 1000

_FLAGS = {
    "negative_prompt": "n",
    "width": "w",
    "height": "h",
    "seed": "d",
    "sample_steps": "s",
    "scale": "l",
    "sample_sampler": "ss",
    "guidance_scale": "g",
    "controlnet_image": "cn",
    "flow_shift": "fs",
    "cfg_trunc_ratio": "ctr",
    "renorm_cfg": "rcfg",
}
"""sd-scripts' keys of a table, and the flags that say the same in a line."""
_IGNORED = frozenset({"enum", "subset"})  # sd-scripts writes the one and removes the other


def is_file(line: str) -> bool:
    """Whether an entry of `sample_prompts` is the path of a file of prompts, and no prompt."""
    return line.strip().lower().endswith(ENDINGS) and "\n" not in line and " --" not in line


def expanded(lines: Sequence[str], folder: Path | None) -> tuple[str, ...]:
    """`lines` with the prompts of each file in place of its path, which is looked for in `folder` first.

    Raises UserError `no-prompt-file`, `not-readable`, `bad-prompt-file`, `bad-prompt-line`.
    """
    return tuple(prompt for line in lines for prompt in (read(line, folder) if is_file(line) else [line]))


def read(name: str, folder: Path | None) -> list[str]:
    """The prompt lines of the file `name`, each of which can be read. Raises UserError as `expanded` does."""
    path = existing_path(name.strip(), folder)
    if path is None or not path.is_file():
        raise UserError(
            "no-prompt-file",
            f"There is no file {name.strip()} with prompts for samples.",
            "Write the prompts themselves into sample_prompts, or the path of a .txt, .toml or .json file.",
        )
    with reading_errors(path), open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("it is larger than 1 MiB")
        lines = list(_lines(path.suffix.lower(), data.decode("utf-8-sig")))
        if not lines or len(lines) > MAX_PROMPTS:
            raise ValueError("it holds no prompts" if not lines else f"it holds more than {MAX_PROMPTS} prompts")
        for line in lines:
            parse(line)
    except UnicodeDecodeError:
        raise UserError("bad-prompt-file", f"{path} is not UTF-8.", "Save it as UTF-8 text.") from None
    except (ValueError, RecursionError) as error:
        why = str(error) if not isinstance(error, RecursionError) else "it is nested too deep"
        raise UserError("bad-prompt-file", f"{path} cannot be read as a file of prompts: {why}.") from None
    except UserError as error:
        raise UserError(error.code, f"{path}: {error.message}", error.hint) from None
    return lines


def _lines(ending: str, text: str) -> Iterator[str]:
    """Raises ValueError with what is wrong."""
    if ending == ".txt":
        yield from (line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))
        return
    entries: object
    shared: Mapping[str, object] = {}
    if ending == ".toml":
        table = tomllib.loads(text).get("prompt")
        if not isinstance(table, dict) or not isinstance(table.get("subset"), list):
            raise ValueError("it has no [prompt] with a [[prompt.subset]] for each prompt")
        shared, entries = table, table["subset"]
    else:
        entries = json.loads(text)
    if not isinstance(entries, list):
        raise ValueError("it is not a list of prompts")
    for entry in entries:
        if isinstance(entry, str):
            yield _one_line(entry)
        elif isinstance(entry, dict):
            yield _as_line({**shared, **entry})
        else:
            raise ValueError("a prompt is neither a text nor a table")


def _as_line(table: Mapping[str, object]) -> str:
    unknown = [key for key in table if key not in _FLAGS and key != "prompt" and key not in _IGNORED]
    if unknown:
        raise ValueError(f'"{unknown[0][:60]}" is not known; known are prompt, {", ".join(list(_FLAGS)[:7])}')
    flags = "".join(f" --{flag} {_text(table[key])}" for key, flag in _FLAGS.items() if key in table)
    return _text(table.get("prompt", "")) + flags


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a value is neither a text nor a number")
    return _one_line(str(value))


def _one_line(text: str) -> str:
    return " ".join(text.split())
