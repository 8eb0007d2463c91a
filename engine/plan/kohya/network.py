"""What the LoRA is made of: its type, its ranks, and sd-scripts' network_args."""

from __future__ import annotations

from engine.plan.errors import inert
from engine.plan.kohya import lycoris
from engine.plan.kohya.keys import OF_BLOCKS, OF_OTHER_LORAS
from engine.plan.kohya.outcome import Outcome
from engine.plan.kohya.plain import is_empty, is_unset, number_of, whole_of, words_of
from engine.plan.kohya.said import Arguments, Said

MODULES = {
    "networks.lora": "",
    "networks.lora_fa": "LoRA-FA",
    "networks.dylora": "DyLoRA",
    "networks.loha": "LoHa",
    "networks.lokr": "LoKr",
    "networks.oft": "OFT",
    "networks.lora_flux": "a LoRA for Flux",
    "networks.lora_sd3": "a LoRA for SD3",
    "lycoris.kohya": "LyCORIS",
    "locon.locon_kohya": "LyCORIS/LoCon",
}
"""sd-scripts' network modules, and what they make; "" for an ordinary LoRA, LoCon included."""

ALGORITHMS = {
    "lora": "LyCORIS/LoCon",
    "locon": "LyCORIS/LoCon",
    "loha": "LyCORIS/LoHa",
    "lokr": "LyCORIS/LoKr",
    "dylora": "LyCORIS/DyLoRA",
    "ia3": "LyCORIS/iA3",
    "glora": "LyCORIS/GLoRA",
    "diag-oft": "LyCORIS/Diag-OFT",
    "boft": "LyCORIS/BOFT",
    "full": "LyCORIS/Native Fine-Tuning",
}
"""LyCORIS' algo, and what it makes."""

_MOST_ARGUMENTS = 200
_RANKS = ("network_dim", "network_alpha", "network_dropout", "scale_weight_norms")
_SAME_RANK = ("LyCORIS/LoCon", "LoRA-FA", "DyLoRA", "LyCORIS/DyLoRA")
"""Types whose rank means the same as an ordinary LoRA's."""

_OF_ARGS = {
    "conv_dim": "conv_dim", "conv_alpha": "conv_alpha", "dropout": "network_dropout", "rank_dropout": "rank_dropout",
    "module_dropout": "module_dropout",
}  # fmt: skip


def carry(arguments: Arguments, outcome: Outcome) -> None:
    """The network's arguments. What another type than LoRA and LoCon has is left out by name."""
    inner = _network_args(arguments.take("network_args"), outcome)
    module = arguments.take("network_module")
    kind = _kind(module, inner)
    locon = None
    if kind is None and module is not None:
        outcome.leave(module.key, module.given, "unsupported", "only networks.lora is there", _RANKS)
        outcome.find(
            "kohya-lora-type",
            f"The file trains with {inert(module.value, 60)}, which is not there here: an ordinary LoRA would be "
            "trained.",
            "Its rank may mean something else there.",
        )
    elif kind == lycoris.KIND and module is not None:
        dropout = number_of(arguments.value("network_dropout"))
        locon = lycoris.LoCon(inner, dropout=bool(dropout))
        lycoris.tell(locon, module, outcome)
    elif kind and module is not None:
        _other_type(kind, module, outcome)
    elif module is not None and not is_empty(module.value):
        outcome.leave(module.key, module.given, "always", "a LoRA of kohya's kind is what is trained")
    elif module is not None:
        outcome.leave(module.key, module.given, "unset", "it is empty")
    foreign = kind != "" and kind not in _SAME_RANK
    for name in _RANKS[:3]:
        said = arguments.take(name)
        if said is None:
            continue
        if name == "network_alpha" and locon is not None and locon.is_on("rs_lora"):
            outcome.leave(said.key, said.given, "unsupported", "means something else with rs_lora", [name])
        else:
            _rank(name, said, kind or "" if foreign else "", outcome)
    for name, said in inner.items():
        if said.key == "LoRA_type" or (locon is not None and lycoris.argument(name, said, locon, outcome)):
            continue  # told already
        _argument(name, said, kind if foreign else "", outcome, is_named=module is not None)
    if locon is not None and not arguments.from_gui:  # the window always passes it on
        lycoris.convolutions(locon, arguments.whole, outcome)


def _network_args(said: Said | None, outcome: Outcome) -> dict[str, Said]:
    """The single arguments; what is none, or stands there twice, is listed."""
    found: dict[str, Said] = {}
    if said is None:
        return found
    if isinstance(said.value, dict) and not said.key:  # the window's own fields, or metadata
        return {name: inner for name, inner in said.value.items() if isinstance(inner, Said)}
    words = words_of(said.value)
    if is_empty(said.value):
        outcome.leave(said.key, said.given, "unset", "it is empty")
    elif not words:
        outcome.leave(said.key, said.given, "bad-value", "must be a list of name=value")
    for word in words[:_MOST_ARGUMENTS]:
        name, equals, value = (part.strip() for part in word.partition("="))
        key = f"network_args: {name}"
        if not (equals and name):
            outcome.leave(f"network_args: {inert(word, 60)}", word, "bad-value", "must read name=value")
            continue
        if name in found:
            outcome.leave(key, found[name].given, "inert", "stands there twice, and the last one counts")
        found[name] = Said(value, key, value)
    if more := len(words[_MOST_ARGUMENTS:]):
        outcome.leave(f"network_args: {more:,} more", "", "unknown", "too many to be listed")
    return found


def _kind(module: Said | None, inner: dict[str, Said]) -> str | None:
    """What kind of network it is: "" for an ordinary one, None for one that nobody knows."""
    if module is None or is_empty(module.value):
        return ""
    kind = MODULES.get(str(module.value).strip())
    if kind != "LyCORIS":
        return kind
    algo = str(inner["algo"].value).strip().lower() if "algo" in inner else "lora"
    return ALGORITHMS.get(algo, f"LyCORIS/{algo[:30]}")


def _other_type(kind: str, module: Said, outcome: Outcome) -> None:
    keeps = kind in _SAME_RANK
    rest = "its ranks mean the same" if keeps else "its ranks mean something else, and are left out with it"
    outcome.leave(
        module.key, module.given, "unsupported", f"{kind} is not there here; {rest}", () if keeps else _RANKS[:2]
    )
    outcome.find(
        "kohya-lora-type",
        f"The file trains {kind}, which is not there here: an ordinary LoRA would be trained, and {rest}.",
        "A LoCon (conv_dim) is there for styles.",
    )


def _rank(name: str, said: Said, kind: str, outcome: Outcome) -> None:
    number = whole_of(said.value) if name == "network_dim" else number_of(said.value)
    if kind and name != "network_dropout":
        outcome.leave(said.key, said.given, "unsupported", f"is meant for {kind}")
    elif is_empty(said.value):
        outcome.leave(said.key, said.given, "unset", "it is empty", [name])
    elif name == "network_alpha" and number == 0:
        outcome.leave(said.key, said.given, "differs", "0 means the rank there: set network_alpha to it", [name])
    else:
        outcome.carry(said.key, said.given, name, said.value if number is None else number, said.note)


def _argument(name: str, said: Said, kind: str | None, outcome: Outcome, *, is_named: bool) -> None:
    if kind:  # of the option that it would be it is not true that the file says nothing
        means = [_OF_ARGS[name]] if name in _OF_ARGS else []
        outcome.leave(said.key, said.given, "unsupported", f"is meant for {kind}", means)
    elif name in _OF_ARGS:
        option = _OF_ARGS[name]
        read = whole_of if name == "conv_dim" else number_of
        number = read(said.value)
        if number is None and str(said.value).strip().lower() in ("none", "null", ""):
            outcome.leave(said.key, said.given, "unset", "it is empty")
        elif name == "conv_alpha" and number == 0:
            outcome.leave(said.key, said.given, "unset", "0 means not set", ["conv_alpha"])
        else:
            outcome.carry(said.key, said.given, option, said.value if number is None else number)
    elif (name in OF_OTHER_LORAS and is_unset(said.value)) or str(said.value).strip().lower() in ("false", "none"):
        outcome.leave(said.key, said.given, "unset", "it is off")
    elif name in OF_OTHER_LORAS and is_named:
        outcome.leave(said.key, said.given, "inert", "only LyCORIS uses it, and that file trains without")
    elif name in OF_OTHER_LORAS:
        outcome.leave(said.key, said.given, "unsupported", "only LyCORIS has it")
    elif name in OF_BLOCKS:
        outcome.leave(said.key, said.given, "unsupported", _blocks(name))
        outcome.find("kohya-blocks", f"{name} of that file is not there here: {_blocks(name)}.")
    else:
        outcome.leave(said.key, said.given, "unknown", "neither sd-scripts' LoRA nor this program knows it")


def _blocks(name: str) -> str:
    if name.startswith("loraplus"):
        return "LoRA+ gives the two halves of a LoRA rates of their own; here they share one"
    return "all blocks of the model have one rank and one rate"
