"""From an empty folder to an exported LoRA, in a real terminal, by keys alone."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks import small_run
from benchmarks.terminal import Terminal
from engine.plan.project import Project
from engine.plan.safetensors_header import read_header

DOWN, ESC, ENTER = "\x1b[B", "\x1b", "\r"


class Hands:
    """Somebody at the keyboard, who looks before typing on."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def see(self, words: str) -> None:
        self.terminal.wait_for(words)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.terminal.type(key)
            time.sleep(0.03 if key.isalnum() else 0.15)

    def paste(self, text: str) -> None:
        self.terminal.type(f"\x1b[200~{text}\x1b[201~")
        time.sleep(0.2)


def test_from_nothing_to_an_exported_lora(
    own_home: tuple[Path, dict[str, str]], my_pictures: Path, tmp_path: Path
) -> None:
    home, own = own_home
    target = tmp_path / "webui" / "models" / "Lora"
    target.mkdir(parents=True)
    terminal = Terminal(small_run.command(), own, home, 30, 100)
    hands = Hands(terminal)
    try:
        hands.see("none yet")
        hands.press("a")
        hands.see("Begin with the trigger word")
        hands.press(ENTER)
        hands.press(*"ohwx", ENTER, ENTER)
        hands.press(*"man", ENTER, DOWN, ENTER)
        hands.paste(f"'{my_pictures}'")
        hands.press(ENTER, DOWN, DOWN, ENTER, "\x15", "4", ENTER)  # repeats
        hands.press("m")
        hands.see("6 pictures")
        hands.press("n")
        hands.see("None are here")
        hands.press("n")
        hands.see("1 of 6 pictures has no caption")
        hands.press("m", ENTER)
        hands.press(*"face", ENTER, ESC)
        hands.press("5")
        hands.see("No base model is chosen")
        hands.press("p", *"micro", ENTER)
        hands.see("practice model")
        hands.press("n")
        hands.see("The demo's settings")
        hands.press("n")
        hands.see("Ready.")
        hands.press("y")
        hands.see("Five steps went well")
        hands.press(ESC)
        hands.see("Only tried so far")
        hands.press("b")
        hands.see("Tried ")
        hands.press("s")
        hands.see("training")
        terminal.wait_for("finished", 240.0)
        hands.press(ESC)
        hands.see("8 of 9")
        hands.press("n")
        hands.see("ohwx")
        hands.press("c")
        terminal.wait_for("left: without", 120.0)
        hands.press("x")
        hands.paste(str(target))
        hands.press(ENTER)
        hands.see("<lora:ohwx:1>")
        hands.press("q")
        terminal.wait(20.0)
        assert terminal.exit_code == 0
    finally:
        terminal.end()
    project = Project.open(home / "ohwx")
    assert (project.trigger, project.class_name, project.preset) == ("ohwx", "man", "demo")
    assert read_header(target / "ohwx.safetensors")[1]["ss_output_name"] == "ohwx"
    assert (home / "ohwx" / "img" / "4_ohwx man" / "00.txt").read_text() == "ohwx, face\n"
