"""`lora-tui`: the commands, and what becomes of everything that can go wrong in one of them.

Exit codes: 0 done, 1 failed with one clear line, 2 wrong usage, 130 interrupted. Never a traceback.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from engine.plan.errors import UserError, inert
from lora_tui import output

# In the order of first use, which is also the order of --help.
COMMANDS = {
    "open": "open",
    "demo": "demo",
    "new": "new",
    "download": "download",
    "check": "check",
    "estimate": "estimate",
    "caption": "caption",
    "regularise": "regularise",
    "train": "train",
    "watch": "watch",
    "runs": "runs",
    "queue": "queue",
    "pause": "control:pause",
    "resume": "control:resume",
    "stop": "control:stop",
    "stop-after-epoch": "control:stop_after_epoch",
    "checkpoint": "control:checkpoint",
    "sample": "control:sample",
    "compare": "compare",
    "export": "export",
    "inspect": "inspect",
    "presets": "presets",
    "doctor": "doctor",
}
"""Command to its module in `lora_tui.commands`, and its name there where that is not `command`."""
OWN_OPTIONS = ("-h", "--help", "--version")  # of `lora-tui` itself; all others before a command are the app's
FAILED, USAGE, INTERRUPTED = 1, 2, 130


class Commands(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"lora_tui.commands.{module}"), name or "command")
        return command


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lora-tui", message="lora-tui %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Train a LoRA for Stable Diffusion XL from a folder of pictures.

    Without a command the app opens: `lora-tui`, or `lora-tui DIR` on a project. All that it does can be done by
    commands as well.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    output.forgive_encodings()
    given = with_command(list(sys.argv[1:] if arguments is None else arguments))
    as_json = "--json" in given
    try:
        code = cli.main(given, prog_name="lora-tui", standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        output.fail(UserError("interrupted", "Stopped before it was done."), as_json)
        code = INTERRUPTED
    except click.UsageError as error:
        code = _wrong_usage(error, as_json)
    except UserError as error:
        output.fail(error, as_json)
        code = FAILED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except OSError as error:
        with contextlib.suppress(OSError):  # it may be the terminal that is gone
            output.fail(_from_system(error), as_json)
        code = FAILED
    except Exception as error:
        output.fail(_fault(error), as_json)
        code = FAILED
    sys.exit(code if isinstance(code, int) else 0)


def with_command(given: list[str]) -> list[str]:
    """`lora-tui`, `lora-tui DIR` and `lora-tui --ascii …` mean `open`; without a terminal `lora-tui` is its help."""
    if not given:
        return ["open"] if sys.stdin.isatty() and sys.stdout.isatty() else given
    first = given[0]
    if first.startswith("-"):
        return given if first in OWN_OPTIONS else ["open", *given]
    if first in COMMANDS or not (os.sep in first or first in (".", "..", "~") or os.path.isdir(first)):
        return given
    return ["open", *given]


def _wrong_usage(error: click.UsageError, as_json: bool) -> int:
    where = error.ctx.command_path if error.ctx is not None else "lora-tui"
    message = UserError("usage", error.format_message(), f"See {where} --help.")
    output.fail(message, as_json)
    return USAGE


def _from_system(error: OSError) -> UserError:
    where = f"{error.filename}: " if error.filename else ""
    return UserError("system", f"{where}{error.strerror or error}.")


def _fault(error: Exception) -> UserError:
    if os.environ.get("LORA_TUI_DEBUG"):
        traceback.print_exc()
    return UserError(
        "internal",
        f"Something went wrong inside lora-tui ({type(error).__name__}: {inert(error, 300)}).",
        "Please report it, with what LORA_TUI_DEBUG=1 prints.",
    )
