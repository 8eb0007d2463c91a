"""Short ways to ask what became of a file."""

from __future__ import annotations

from pathlib import Path

from engine.plan.kohya.outcome import Outcome

AI_NOW = Path(__file__).with_name("ai_now.json")
"""kohya_ss' presets/lora/SDXL - LoRA AI_Now prodigy v1.0.json, every key and value of it."""

PARTS = ("train_unet", "train_text_encoder_1", "train_text_encoder_2")


class Read:
    """An outcome, with its parts by key."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.settings = outcome.settings
        self.left = {line.key: line for line in outcome.left_out}
        self.carried = {line.key: line for line in outcome.carried if line.key}
        self.codes = {finding.code for finding in outcome.findings}
        self.findings = {finding.code: finding for finding in outcome.findings}

    def why(self, key: str) -> str:
        return self.left[key].why
