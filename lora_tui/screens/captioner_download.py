"""Downloading a captioner from the screen that wants to use it: as a base model comes, in words of its own."""

from __future__ import annotations

from engine.plan.errors import inert
from lora_tui.screens.dialogs import Choice, Question
from lora_tui.screens.download import Download


class CaptionerDownload(Download):
    """`taken` is called once it is here."""

    def offer_captioner(self, name: str, weighs: str) -> None:
        """Ask whether to download it. weighs: in words, "" where nobody knows."""

        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._begin(name)

        about = f"about {weighs} into" if weighs else "into"
        choices = [
            Choice("yes", "Download it", f"{about} the cache of Hugging Face's programs; then it begins to write"),
            Choice("", "Leave it", "choose another captioner"),
        ]
        title = f"The captioner {inert(name)} is not on this machine yet. Download it?"
        self._page.app.push_screen(Question(title, choices), answered)
