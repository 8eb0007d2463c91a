"""The kind of LoRA in kohya_ss' window: its name, and which of the many fields that kind passes on."""

from __future__ import annotations

from engine.plan.kohya.keys import OF_BLOCKS, OF_OTHER_LORAS
from engine.plan.kohya.network import ALGORITHMS
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import is_empty, is_unset
from engine.plan.kohya.said import Arguments, Said

TYPES = {
    "Standard": "networks.lora",
    "Kohya LoCon": "networks.lora",
    "Kohya DyLoRA": "networks.dylora",
    "Kohya LoHa": "networks.loha",
    "Kohya LoKr": "networks.lokr",
    "LoRA-FA": "networks.lora_fa",
    "Flux1": "networks.lora_flux",
    "Flux1 OFT": "networks.oft",
    "LoCon": "lycoris.kohya",
}
"""The window's names, and sd-scripts' modules; all LyCORIS/… are lycoris.kohya."""

_CONV = ("conv_dim", "conv_alpha")
_DROPOUTS = ("rank_dropout", "module_dropout")
_WITHOUT_CONV = ("Standard", "LoRA-FA")


def network(left: dict[str, object], arguments: Arguments, outcome: Outcome) -> None:
    """Take the fields of the network out of `left` as arguments; what its kind does not pass on is left out."""
    given = left.pop("LoRA_type", None)
    kind = str(given).strip() if not is_empty(given) else "Standard"
    module = TYPES.get(kind, "lycoris.kohya" if kind.startswith("LyCORIS/") else f"the LoRA type {kind[:40]}")
    if given is not None:
        arguments.said["network_module"] = Said(module, "LoRA_type", given)
    inner: dict[str, Said] = {}
    if module == "lycoris.kohya":
        algo = next((algo for algo, name in ALGORITHMS.items() if name == kind or name.endswith(f"/{kind}")), kind)
        inner["algo"] = Said(algo, "LoRA_type", given)
    for key in [key for key in left if key in (*_CONV, *_DROPOUTS) or key in OF_OTHER_LORAS | OF_BLOCKS]:
        value = left.pop(key)
        passed = _is_passed(key, kind, module)
        if is_empty(value):
            outcome.leave(key, value, "unset", "it is empty")
        elif not passed:
            outcome.leave(key, value, "inert", f"the LoRA type {kind} does not use it")
            if key == "conv_dim":
                outcome.carry("", "", "conv_dim", 0, f"the LoRA type {kind} has no convolutions")
        elif is_unset(value) and key in _DROPOUTS:
            outcome.carry(key, value, key, 0.0)
        elif is_unset(value) and key not in _CONV:
            outcome.leave(key, value, "unset", "it is off")
        else:
            inner[key] = Said(value, key, value)
    if inner:
        arguments.said["network_args"] = Said(inner, "", "")


def _is_passed(key: str, kind: str, module: str) -> bool:
    if key in _CONV:
        return kind not in _WITHOUT_CONV
    if module == "networks.lora":
        return key in _DROPOUTS or key in OF_BLOCKS
    if module == "lycoris.kohya":
        return key not in OF_BLOCKS
    return key in _DROPOUTS or key in ("unit", "factor", "use_tucker") or key in OF_BLOCKS
