"""Each optimizer computes what its paper or its library says, and goes on to the bit after a pause and a stop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.optimization import Adafactor

import engine.train.commands as commands_module
import engine.train.loop as loop_module
from engine.demo import architecture
from engine.lora.attach import LoraShape, attach
from engine.lora.network import LoraNetwork
from engine.optimizer_class import find
from engine.plan.errors import UserError
from engine.runs import control
from engine.runs.checkpoints import list_checkpoints
from engine.train import optimizers
from engine.train.lion import Lion
from engine.train.optimizers import effective_rates, make_optimizer, to_optimize, try_out
from engine.train.parking import Parking
from tests.training import Trainer, ask_to_stop, same, settings

CPU = torch.device("cpu")
GUIDES_ADAFACTOR = ("scale_parameter=False", "relative_step=False", "warmup_init=False")


# ------------------------------------------------------------------------------------------------------------ formulas
def small_network(seed: int = 3) -> LoraNetwork:
    torch.manual_seed(0)
    network = attach({"unet": architecture.unet()}, LoraShape(4, 2.0), seed)
    draw = torch.Generator().manual_seed(seed)
    for flat in network.parameters:
        flat.data.normal_(std=0.1, generator=draw)
    return network


def give_gradients(network: LoraNetwork, number: int) -> None:
    draw = torch.Generator().manual_seed(number)
    for module in network.modules:
        for weight in (module.down, module.up):
            weight.grad.copy_(torch.randn(weight.shape, generator=draw) * 0.01)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "arguments",
    [
        GUIDES_ADAFACTOR,
        (*GUIDES_ADAFACTOR, "beta1=0.9", "weight_decay=0.01", "clip_threshold=0.5"),
        ("scale_parameter=True", "relative_step=True", "warmup_init=True"),
    ],
)
def test_adafactor_on_the_loras_tensors_is_transformers_own(arguments: tuple[str, ...]) -> None:
    chosen = settings(optimizer_type="Adafactor", optimizer_args=arguments, learning_rate=3e-4)
    network = small_network()
    ours = make_optimizer(chosen, to_optimize(chosen, network))
    alone = [nn.Parameter(w.detach().clone()) for m in network.modules for w in (m.down, m.up)]
    rate = None if "relative_step=True" in arguments else 3e-4
    theirs = Adafactor(alone, lr=rate, **chosen.optimizer_kwargs)
    before = torch.cat(network.parameters).clone()
    for step in range(3):
        give_gradients(network, step)
        for parameter, (module, side) in zip(
            alone, ((m, s) for m in network.modules for s in ("down", "up")), strict=True
        ):
            parameter.grad = getattr(module, side).grad.clone()
        ours.step()
        theirs.step()
    weights = [w for m in network.modules for w in (m.down, m.up)]
    assert all(torch.equal(one, other) for one, other in zip(weights, alone, strict=True))
    assert not torch.equal(torch.cat(network.parameters), before)  # the flat buffers are what moved


def test_lion_is_the_papers_formula() -> None:
    draw = torch.Generator().manual_seed(1)
    start = torch.randn(64, generator=draw, dtype=torch.float64)
    gradients = [torch.randn(64, generator=draw, dtype=torch.float64) for _ in range(5)]
    parameter = nn.Parameter(start.clone())
    optimizer = Lion([parameter], lr=0.01, betas=(0.8, 0.95), weight_decay=0.1)
    theta, m = start.clone(), torch.zeros(64, dtype=torch.float64)
    for g in gradients:
        parameter.grad = g.clone()
        optimizer.step()
        theta = theta - 0.01 * (torch.sign(0.8 * m + 0.2 * g) + 0.1 * theta)
        m = 0.95 * m + 0.05 * g
    torch.testing.assert_close(parameter.data, theta)
    torch.testing.assert_close(optimizer.state[parameter]["exp_avg"], m)


@pytest.mark.parametrize("kind", ["Prodigy", "AdamW", "Lion"])
def test_large_buffers_are_optimized_in_pieces_with_the_same_result(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings(optimizer_type=kind, learning_rate=1.0 if kind == "Prodigy" else 1e-3)
    whole, cut = small_network(), small_network()
    together = make_optimizer(chosen, to_optimize(chosen, whole))
    monkeypatch.setattr(optimizers, "PIECE", 100)
    (group,) = to_optimize(chosen, cut)
    assert {len(piece) for piece in group["params"]} <= set(range(1, 101))
    assert sum(map(len, group["params"])) == sum(map(len, cut.parameters))
    in_pieces = make_optimizer(chosen, [group])
    for step in range(5):
        for network, optimizer in ((whole, together), (cut, in_pieces)):
            give_gradients(network, step)
            optimizer.step()
    for one, other in zip(whole.parameters, cut.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert effective_rates(together)[1] == pytest.approx(effective_rates(in_pieces)[1])


@pytest.mark.parametrize(("given", "foreach", "fused"), [((), False, None), (("fused=True",), None, True)])
def test_adamw_takes_one_piece_after_the_other_unless_told_otherwise(
    given: tuple[str, ...], foreach: bool | None, fused: bool | None
) -> None:
    """On a GPU it would take all at once, with a copy of the whole LoRA beside its states."""
    chosen = settings(optimizer_type="AdamW", learning_rate=1e-3, optimizer_args=given)
    (group,) = make_optimizer(chosen, to_optimize(chosen, small_network())).param_groups
    assert (group["foreach"], group["fused"]) == (foreach, fused)


def test_lion_on_the_flat_buffers_is_lion_on_each_tensor() -> None:
    chosen = settings(optimizer_type="Lion", learning_rate=1e-3, optimizer_args=("weight_decay=0.1",))
    flat, single = small_network(), small_network()
    (group,) = to_optimize(chosen, flat)
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in flat.parameters]
    together = make_optimizer(chosen, to_optimize(chosen, flat))
    apart = make_optimizer(chosen, [w for m in single.modules for w in (m.down, m.up)])
    for step in range(3):
        for network, optimizer in ((flat, together), (single, apart)):
            give_gradients(network, step)
            optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(flat.parameters, single.parameters, strict=True))


def test_adafactors_own_rate_is_the_one_of_its_next_step() -> None:
    for given, expected in ((("relative_step=True",), [0.01, 0.01]), (("warmup_init=True",), [1e-6, 2e-6])):
        chosen = settings(optimizer_type="Adafactor", optimizer_args=given)
        parameter = nn.Parameter(torch.ones(3, 3))
        optimizer = make_optimizer(chosen, [parameter])
        found = []
        for _ in range(2):
            found += effective_rates(optimizer)[0]
            parameter.grad = torch.ones(3, 3)
            optimizer.step()
        assert found == pytest.approx(expected)


# ----------------------------------------------------------------------------------------------------- whole trainings
@pytest.mark.parametrize(
    ("kind", "arguments", "rate"),
    [
        ("Adafactor", GUIDES_ADAFACTOR, 3e-4),
        pytest.param("Adafactor", ("beta1=0.9",), 1.0, marks=pytest.mark.proof),
        pytest.param("Lion", ("weight_decay=0.1",), 1e-4, marks=pytest.mark.proof),
        ("torch.optim.RAdam", ("betas=(0.8, 0.99)",), 1e-3),
        ("AdamW8bit", (), 1e-3),
    ],
)
def test_a_training_goes_on_to_the_bit(
    train: Trainer,
    monkeypatch: pytest.MonkeyPatch,
    before_call: Callable[..., None],
    kind: str,
    arguments: tuple[str, ...],
    rate: float,
) -> None:
    """Its memory is given back in step 2 (here the CPU's own), it is stopped in step 4 and goes on."""
    if kind == "AdamW8bit":
        pytest.importorskip("bitsandbytes")
    values: dict[str, Any] = {
        "optimizer_type": kind,
        "optimizer_args": arguments,
        "learning_rate": rate,
        "max_train_epochs": 2,
        "network_dim": 32,  # in 8 bits there must be something to keep in 8 bits
        "lr_scheduler": "cosine",
        "lr_warmup_steps": 2,
        "scale_weight_norms": 0.5,
        "checkpoint_every_n_steps": 0,
    }
    whole = train(**values)
    assert whole.end["status"] == "finished", whole.end
    assert len(set(whole.losses)) == 6

    project = train.project()
    run = train.prepare(project, **values)
    monkeypatch.setattr(commands_module, "Parking", lambda tensors: Parking(tensors, devices=("cpu",)))
    monkeypatch.setattr(
        commands_module, "time", type("Clock", (), {"sleep": lambda seconds: control.send(run, "resume")})
    )
    pause = partial(control.send, run, "pause", release_memory=True)
    before_call(loop_module, "train_step", {2: pause, 4: ask_to_stop})
    stopped = train.do(run, project)
    assert stopped.end["status"] == "stopped", stopped.end
    assert [event["released"] for event in stopped.of("paused")] == [True]
    assert list_checkpoints(run)[-1].step == 4
    resumed = train.do(run, project)
    assert same(resumed.lora, whole.lora)
    assert [e["lr"] for e in resumed.of("step")] == [e["lr"] for e in whole.of("step")]


def test_eight_bit_states_are_kept_in_eight_bits(train: Trainer) -> None:
    pytest.importorskip("bitsandbytes")
    values: dict[str, Any] = {"network_dim": 32, "max_train_epochs": 1, "learning_rate": 1e-3}
    sizes = {
        kind: train(optimizer_type=kind, optimizer_args=(), **values).of("checkpoint")[-1]["bytes"]
        for kind in ("AdamW", "AdamW8bit", "Lion", "Adafactor")
    }
    assert sizes["AdamW8bit"] < 0.6 * sizes["AdamW"]
    assert sizes["Lion"] < 0.75 * sizes["AdamW"]


def test_each_optimizers_arguments_reach_it(train: Trainer) -> None:
    plain = train(optimizer_type="Adafactor", optimizer_args=GUIDES_ADAFACTOR, learning_rate=3e-4)
    clipped = train(
        optimizer_type="Adafactor", optimizer_args=(*GUIDES_ADAFACTOR, "clip_threshold=0.1"), learning_rate=3e-4
    )
    assert not same(plain.lora, clipped.lora)
    name = "transformers.optimization.Adafactor(scale_parameter=False,relative_step=False,warmup_init=False"
    assert plain.lora.metadata["ss_optimizer"] == f"{name})"
    assert clipped.lora.metadata["ss_optimizer"] == f"{name},clip_threshold=0.1)"
    own = train(optimizer_type="Adafactor", optimizer_args=(), learning_rate=3e-4, lr_scheduler="cosine")
    assert own.lora.metadata["ss_learning_rate"] == own.lora.metadata["ss_unet_lr"] == "None"
    assert own.lora.metadata["ss_lr_scheduler"] == "adafactor:0.0003"
    assert own.lora.metadata["ss_optimizer"].endswith("Adafactor(relative_step=True)")
    assert [e["lr"]["unet"] for e in own.of("step")] == pytest.approx([0.01, 0.01, 0.01])


@pytest.mark.parametrize("kind", ["AdamW", "Adafactor"])
def test_option_unet_lr_and_text_encoder_lr(train: Trainer, kind: str) -> None:
    chosen = {"optimizer_type": kind, "optimizer_args": GUIDES_ADAFACTOR if kind == "Adafactor" else ()}
    both: dict[str, Any] = {"train_text_encoder_1": True, "train_text_encoder_2": True, **chosen}
    run = train(unet_lr="0.002", text_encoder_lr="0.0004 0.0002", lr_scheduler="linear", **both)
    full = {"unet": 2e-3, "text_encoder_1": 4e-4, "text_encoder_2": 2e-4}
    for step, part in enumerate((1.0, 2 / 3, 1 / 3)):
        assert run.of("step")[step]["lr"] == pytest.approx({name: rate * part for name, rate in full.items()})
    alike = train(lr_scheduler="linear", **both)
    for prefix, factor in (("lora_unet", 2.0), ("lora_te1", 0.4), ("lora_te2", 0.2)):
        sizes = [
            torch.cat([t.flatten() for n, t in r.lora.tensors.items() if n.startswith(prefix) and "up" in n]).norm()
            for r in (run, alike)
        ]
        assert float(sizes[0] / sizes[1]) == pytest.approx(factor, rel=0.3), prefix  # the ups start at zero
    assert run.lora.metadata["ss_unet_lr"] == "0.002"


# -------------------------------------------------------------------------------------------------------- what is none
STRANGE = """
import torch

class NoOptimizer: ...

class Base(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["kept"] = self.kept(parameter)

class Complex(Base):
    def kept(self, parameter): return 1j

class Bytes(Base):
    def kept(self, parameter): return torch.ones(3, dtype=torch.int32)

class ScheduleFree(Base):
    def kept(self, parameter): return 1
    def train(self): ...
    def eval(self): ...
"""


@pytest.mark.parametrize(
    ("kind", "arguments", "code", "words"),
    [
        ("no_such_package.Optimizer", (), "no-such-optimizer", "no_such_package, which is not installed"),
        ("torch.optim.Ranger", (), "no-such-optimizer", "has no class Ranger"),
        ("torch.optim.lr_scheduler.StepLR", (), "no-such-optimizer", "is no optimizer"),
        ("torch.optim.Optimizer", (), "no-such-optimizer", "is no optimizer"),
        ("torch.optim.RAdam", ("no_such=1",), "bad-optimizer-args", "no_such"),
        ("torch.optim.RAdam", ("betas=(2.0, 0.9)",), "bad-optimizer-args", "beta"),
        ("Lion", ("betas=(1.5, 0.9)",), "bad-optimizer-args", "betas"),
        ("torch.optim.LBFGS", (), "optimizer-does-not-fit", "cannot train a LoRA here"),
        ("strange_optimizers.NoOptimizer", (), "no-such-optimizer", "is no optimizer"),
        ("strange_optimizers.Complex", (), "optimizer-does-not-fit", "come back from a checkpoint"),
        ("strange_optimizers.Bytes", (), "optimizer-does-not-fit", "come back from a checkpoint"),
        ("strange_optimizers.ScheduleFree", (), "optimizer-does-not-fit", "schedule-free"),
        ("broken_optimizers.Any", (), "no-such-optimizer", "cannot be imported (ZeroDivisionError"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, arguments: tuple[str, ...], code: str, words: str
) -> None:
    (tmp_path / "strange_optimizers.py").write_text(STRANGE)
    (tmp_path / "broken_optimizers.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as refused:
        try_out(settings(optimizer_type=kind, optimizer_args=arguments), CPU)
    assert refused.value.code == code
    assert words in refused.value.message
    assert "\n" not in str(refused.value)


def test_a_class_that_is_missing_names_the_nearest_and_ends_the_run_before_any_work(train: Trainer) -> None:
    ended = train(optimizer_type="torch.optim.RAdm")
    assert (ended.end["status"], ended.end["code"]) == ("failed", "no-such-optimizer")
    assert "torch.optim.RAdam" in ended.end["hint"]
    assert not [event for event in ended.of("phase") if event["name"] == "reading pictures"]


def test_without_bitsandbytes_its_optimizer_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find.cache_clear()
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim.adamw", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UserError, match="needs the package bitsandbytes") as refused:
        find("AdamW8bit")
    assert "lora-tui[cuda]" in refused.value.hint
