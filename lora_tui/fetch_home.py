"""How a file gets from a rented machine to the computer one sits at: the `scp` line for this ssh connection."""

from __future__ import annotations

import getpass
import ipaddress
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lora_tui.terminal import ask_tmux_for

UNKNOWN = "ADDRESS"


@dataclass(frozen=True)
class FetchLine:
    """`command` is typed on the computer at home. sure: whether the address of this machine is known."""

    command: str
    sure: bool


def connection(environ: Mapping[str, str] = os.environ, ask_tmux: Callable[[str], str] = ask_tmux_for) -> str:
    """What ssh says of itself in SSH_CONNECTION: from where to where, each with its port. "" where nobody is.

    In tmux that would be the connection that tmux was started over; tmux itself knows of the last one. To ask it takes
    some 10 ms.
    """
    newer = ask_tmux("SSH_CONNECTION").partition("=")[2] if environ.get("TMUX") else ""
    return newer or environ.get("SSH_CONNECTION", "")


def fetch_line(path: Path, connection: str, user: str | None = None) -> FetchLine | None:
    """None where nobody is connected by ssh.

    Behind a proxy or in a container the address and the port are those inside, which are of no use outside.
    """
    parts = connection.split()
    if len(parts) != 4:
        return None
    try:
        there, here = ipaddress.ip_address(parts[0]), ipaddress.ip_address(parts[2])
        port = int(parts[3])
    except ValueError:
        return None
    sure = not here.is_private or there.is_private
    host = (f"[{here}]" if here.version == 6 else str(here)) if sure else UNKNOWN
    ports = "" if sure and port == 22 else f"-P {port if sure else 'PORT'} "
    return FetchLine(f"scp {ports}{shlex.quote(f'{user or _user()}@{host}:{path}')} .", sure)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "root"
