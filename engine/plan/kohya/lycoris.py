"""LyCORIS' LoCon: where its arguments make another LoRA of it than kohya's own LoCon (`lycoris/kohya.py`, version 3).

There a switch is on unless it is "False", and what LoCon does not know is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.plan.errors import few, inert
from engine.plan.kohya.keys import OF_BLOCKS, OF_OTHER_LORAS
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import is_unset, number_of
from engine.plan.kohya.said import Said

KIND = "LyCORIS/LoCon"

_CHANGES = {
    "dora_wd": "DoRA",
    "weight_decompose": "DoRA",
    "train_norm": "trained normalisation layers",
    "use_scalar": "a learnt scale for each layer",
    "rs_lora": "rank-stabilised scaling",
}
"""What is another LoRA wherever it is on."""
_TUCKER = ("use_tucker", "use_cp", "use_conv_cp")
_PRESETS = ("preset", "LyCORIS_preset")
_WITHOUT_CONV = ("full-lin", "attn-mlp", "attn-only", "unet-transformer-only", "ia3")
"""Presets that train no convolutions."""

_NOTHING = ("", "none", "null")
_DROPOUTS = ("dropout", "rank_dropout", "module_dropout")
_PASSED_OVER = "LyCORIS/LoCon does not use it"


@dataclass
class LoCon:
    """What the arguments of a LyCORIS/LoCon say. dropout: whether the file sets one outside of them.

    other: what makes another LoRA of it, in words. unknown: arguments that nobody knows.
    """

    inner: Mapping[str, Said]
    dropout: bool = False
    other: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = [words for name, words in _CHANGES.items() if self.is_on(name)]
        if self.has_convolutions and any(self.is_on(name) for name in _TUCKER):
            found.append("Tucker decomposition of the convolutions")
        if self.preset not in ("full", "attn-mlp"):
            found.append(f"the layers of the preset {inert(self.preset, 40)}")
        self.other = list(dict.fromkeys(found))
        known = OF_OTHER_LORAS | OF_BLOCKS | {"algo", "conv_dim", "conv_alpha"} | set(_DROPOUTS)
        self.unknown = [name for name in self.inner if name not in known]

    @property
    def preset(self) -> str:
        """Which layers are trained."""
        for name in _PRESETS:
            text = str(self.inner[name].value or "").strip() if name in self.inner else ""
            if text.lower() not in _NOTHING:
                return text
        return "full"

    @property
    def has_convolutions(self) -> bool:
        """Whether 3 × 3 convolutions are trained: with the rank of all else where none is given for them."""
        if self.preset in _WITHOUT_CONV:
            return False
        return "conv_dim" not in self.inner or number_of(self.inner["conv_dim"].value) != 0

    def is_on(self, name: str) -> bool:
        """Whether a switch is on."""
        if name not in self.inner:
            return False
        value = self.inner[name].value
        if isinstance(value, str):
            return value.strip().lower() not in ("false", *_NOTHING)
        return not is_unset(value)

    def drops(self) -> bool:
        """Whether anything is dropped while it learns."""
        return self.dropout or any(number_of(self.inner[name].value) for name in _DROPOUTS if name in self.inner)


def tell(locon: LoCon, module: Said, outcome: Outcome) -> None:
    """Say what becomes of the type: a note where it is the same LoRA here, a warning where it is not."""
    if locon.other:
        what = f"{KIND} with {_and(locon.other)}"
        rest = "its ranks mean the same"
        if locon.is_on("rs_lora"):
            rest += ", its alpha does not and is left out"
            outcome.decided |= {"network_alpha", "conv_alpha"}
        outcome.leave(module.key, module.given, "unsupported", f"{what} is not there here; {rest}")
        outcome.find(
            "kohya-lora-type",
            f"The file trains {what}, which is not there here: kohya's own LoCon would be trained instead; {rest}.",
            "It may learn something else than there.",
        )
        return
    outcome.leave(module.key, module.given, "differs", "kohya's own LoCon is trained, without the package LyCORIS")
    differs = []
    if locon.unknown:
        differs.append(f"what {few([inert(name, 40) for name in locon.unknown])} would change there is not known")
    if locon.drops():
        differs.append("dropout leaves out something else there")
    same = " with the same ranks; " if differs else ": the same mathematics with the same ranks"
    message = f"LyCORIS/LoCon becomes kohya's own LoCon{same}{_and(differs)}"
    if locon.preset == "full" and module.given != "locon.locon_kohya":
        message += ", but LyCORIS' preset full also trains a few small layers outside the blocks"
    outcome.note("kohya-lycoris-locon", f"{message}.")


def argument(name: str, said: Said, locon: LoCon, outcome: Outcome) -> bool:
    """Say what becomes of an argument; False for those that are options here, and for unknown ones."""
    if name in ("conv_dim", "conv_alpha") and locon.preset in _WITHOUT_CONV:
        outcome.leave(said.key, said.given, "inert", f"the preset {locon.preset} trains no convolutions", [name])
    elif name == "conv_alpha" and locon.is_on("rs_lora"):
        outcome.leave(said.key, said.given, "unsupported", "means something else with rs_lora", [name])
    elif name == "algo":
        outcome.leave(said.key, said.given, "differs", "kohya's own LoCon is trained")
    elif name in _PRESETS:
        _preset(said, locon, outcome)
    elif name not in OF_OTHER_LORAS | OF_BLOCKS or name.startswith("loraplus"):
        return False
    elif not locon.is_on(name):
        outcome.leave(said.key, said.given, "unset", "it is off")
    elif name in _CHANGES:
        outcome.leave(said.key, said.given, "unsupported", f"only LyCORIS has {_CHANGES[name]}")
    elif name in _TUCKER:
        if locon.has_convolutions:
            outcome.leave(said.key, said.given, "unsupported", "only LyCORIS has Tucker decomposition")
        else:
            outcome.leave(said.key, said.given, "inert", "is for convolutions, which that file does not train")
    elif name == "bypass_mode":
        outcome.leave(said.key, said.given, "always", "only how it is calculated, and it is done so here")
    elif name == "rank_dropout_scale" and locon.drops():
        outcome.leave(said.key, said.given, "always", "what rank_dropout keeps is always scaled here")
    elif name == "wd_on_output" and "DoRA" in locon.other:
        outcome.leave(said.key, said.given, "unsupported", "belongs to DoRA")
    else:
        outcome.leave(said.key, said.given, "inert", _PASSED_OVER)
    return True


def convolutions(locon: LoCon, whole: bool, outcome: Outcome) -> None:
    """The rank of the convolutions where the file gives none: not 0, as without LyCORIS, but that of all else."""
    if not locon.has_convolutions:
        if "conv_dim" not in outcome.settings:
            outcome.carry("", "", "conv_dim", 0, "that file trains no convolutions")
        return
    for option, other, usual in (("conv_dim", "network_dim", 4), ("conv_alpha", "network_alpha", 1.0)):
        value = outcome.settings.get(other, usual if whole and other not in outcome.decided else None)
        if option not in outcome.decided and value is not None:
            outcome.carry("", "", option, value, f"the file does not say: LyCORIS takes {other}")
        outcome.decided.add(option)


def _preset(said: Said, locon: LoCon, outcome: Outcome) -> None:
    if str(said.value or "").strip().lower() in _NOTHING:
        outcome.leave(said.key, said.given, "unset", "it is empty")
    elif locon.preset == "full":
        outcome.leave(said.key, said.given, "differs", "a few small layers outside the blocks are not trained here")
    elif locon.preset == "attn-mlp":
        outcome.leave(said.key, said.given, "always", "its layers are those of an ordinary LoRA")
    else:
        outcome.leave(said.key, said.given, "unsupported", "it trains other layers than a LoRA here")


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
