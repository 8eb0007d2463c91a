"""The scp line for this ssh connection, and what it says where the address is of no use outside."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from lora_tui.fetch_home import UNKNOWN, connection, fetch_line

LORA = Path("/workspace/zibo/model/zibo.safetensors")


def never(name: str) -> str:
    raise AssertionError("tmux was asked")


def line(said: str, path: Path = LORA) -> str:
    found = fetch_line(path, said, "me")
    assert found is not None
    return found.command


def test_the_address_and_port_of_the_connection_are_used() -> None:
    assert line("203.0.113.7 51514 198.51.100.2 22") == f"scp me@198.51.100.2:{LORA} ."
    assert line("8.8.8.8 51514 9.9.9.9 2222") == f"scp -P 2222 me@9.9.9.9:{LORA} ."
    assert line("192.168.1.5 51514 192.168.1.9 22") == f"scp me@192.168.1.9:{LORA} ."
    assert shlex.split(line("2606:4700::1 5 2606:4700::2 22"))[1] == f"me@[2606:4700::2]:{LORA}"


def test_an_address_inside_a_container_is_not_named() -> None:
    found = fetch_line(LORA, "8.8.8.8 51514 172.17.0.2 22", "root")
    assert found is not None
    assert not found.sure
    assert found.command == f"scp -P PORT root@{UNKNOWN}:{LORA} ."


def test_a_path_with_spaces_and_quotes_stays_one_word() -> None:
    path = Path("/home/me/it's mine/a $(b).safetensors")
    assert shlex.split(line("8.8.8.8 5 9.9.9.9 22", path)) == ["scp", f"me@9.9.9.9:{path}", "."]


@pytest.mark.parametrize("said", ["", "8.8.8.8", "a b c d", "8.8.8.8 5 9.9.9.9 port", "1 2 3 4 5"])
def test_without_ssh_there_is_no_line(said: str) -> None:
    assert fetch_line(LORA, said, "me") is None


def test_tmux_knows_of_the_newest_connection() -> None:
    old, new = "8.8.8.8 5 9.9.9.9 22", "8.8.4.4 6 9.9.9.9 22"
    inside = {"TMUX": "/tmp/tmux", "SSH_CONNECTION": old}
    assert connection({"SSH_CONNECTION": old}, never) == old
    assert connection(inside, lambda name: f"{name}={new}") == new
    assert connection(inside, lambda name: f"-{name}") == old
    assert connection(inside, lambda name: "") == old
