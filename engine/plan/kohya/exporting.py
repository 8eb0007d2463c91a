"""Settings as the files that sd-scripts reads: a configuration, a dataset file for a project, and its prompts.

What sd-scripts has no word for stands in the configuration as a comment, and is told as a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit

from engine.plan.base_model import BaseModel
from engine.plan.errors import Finding, UserError, inert
from engine.plan.files import atomic_write
from engine.plan.kohya.keys import SAME
from engine.plan.objective import as_trained
from engine.plan.option_values import parse_resolution
from engine.plan.options import by_name
from engine.plan.settings import Settings, to_dict
from engine.plan.trained_parts import trains_text
from engine.plan.writing import writing

_PREDICTION = ("v_parameterization", "zero_terminal_snr")
_SAMPLES = ("sample_every_n_steps", "sample_every_n_epochs", "sample_at_first", "sample_sampler")

SECTIONS: dict[str, tuple[str, ...]] = {
    "model": ("Model",),
    "network": ("Network",),
    "learning": ("Learning", "What is trained"),
    "training": ("Training",),
    "loss": ("Noise and loss",),
    "validation": ("Validation",),
    "samples": ("Samples",),
}
"""Sections of the configuration, and the groups of options in each; sd-scripts reads them as one table."""

_NOT_ZERO = frozenset(
    {
        "save_every_n_epochs", "save_every_n_steps", "save_last_n_epochs", "save_last_n_steps", "sample_every_n_steps",
        "sample_every_n_epochs", "validate_every_n_epochs", "validate_every_n_steps", "adaptive_noise_scale",
        "multires_noise_iterations", "ip_noise_gamma", "v_pred_like_loss", "min_snr_gamma", "scale_weight_norms",
        "noise_offset", "network_dropout", "lr_decay_steps", "lr_scheduler_min_lr_ratio", "validation_split",
    }
)  # fmt: skip
"""Numbers that are left away where they are 0: sd-scripts divides by some, and takes 0 of others for a value."""

_DATASET: tuple[str, ...] = ("resolution", "enable_bucket", "bucket_no_upscale", "bucket_reso_steps", "min_bucket_reso")
_DATASET += ("max_bucket_reso", "validation_seed", "validation_split")
_SUBSETS = (
    "shuffle_caption", "keep_tokens", "keep_tokens_separator", "secondary_separator", "caption_separator",
    "enable_wildcard", "caption_prefix", "caption_suffix", "flip_aug", "caption_dropout_every_n_epochs",
    "caption_dropout_rate", "caption_tag_dropout_rate", "caption_extension",
)  # fmt: skip
_OWN_ONLY = {
    "checkpoint_every_n_steps": "sd-scripts saves its state at epochs, with save_state",
    "keep_last_n_checkpoints": "sd-scripts saves its state at epochs, with save_state",
    "allow_smaller_buckets": "sd-scripts ends where memory runs out",
    "num_processes": "accelerate launch --num_processes says it",
    "use_ema": "sd-scripts has no running average",
    "ema_decay": "sd-scripts has no running average",
    "diff_output_preservation_multiplier": "sd-scripts does it with regularisation pictures only",
}
_QUIET = frozenset(
    {"checkpoint_every_n_steps", "keep_last_n_checkpoints", "ema_decay", "allow_smaller_buckets"}
)  # changes nothing learnt


OUTPUT = Path("output")
"""Where the LoRAs of settings without a project go: beside what is at work, as kohya's own examples have it."""

SAMPLERS = frozenset(
    {
        "ddim", "pndm", "lms", "euler", "euler_a", "heun", "dpm_2", "dpm_2_a", "dpmsolver", "dpmsolver++", "dpmsingle",
        "k_lms", "k_euler", "k_euler_a", "k_dpm_2", "k_dpm_2_a",
    }
)  # fmt: skip
"""sd-scripts' names of samplers (`train_util.add_training_arguments`)."""


@dataclass(frozen=True)
class Subset:
    """A folder of pictures as sd-scripts wants it."""

    folder: Path
    repeats: int
    words: str
    is_reg: bool = False


@dataclass
class Exported:
    """The texts of the files; dataset and prompts are "" where there are none. findings: what could not be said."""

    config: str
    dataset: str = ""
    prompts: str = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass
class _Writer:
    base: BaseModel | None = None
    values: dict[str, object] = field(default_factory=dict)
    unsaid: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def leave(self, option: str, value: object, why: str, *, quiet: bool = False) -> None:
        self.unsaid[option] = f"{option} = {inert(value, 80)}: {why}"
        if not quiet:
            self.findings.append(Finding("not-in-sd-scripts", f"{option} = {inert(value, 80)} is not exported: {why}."))


def export(
    settings: Settings,
    subsets: Iterable[Subset] = (),
    *,
    name: str = "lora",
    title: str = "",
    folder: Path = Path(),
    loras: Path = OUTPUT,
    lora: str = "",
    base: BaseModel | None = None,
) -> Exported:
    """The files of these settings. subsets: the folders of a project; without any there is no dataset file, and what
    would stand in it stands in the configuration. name: that of the files, as in `NAME.toml`. title: what it is.
    folder: where the files will lie; sd-scripts looks for them from where it is started.
    loras, lora: the folder for the LoRAs, and what they are called; `name` unless said. base: the base model, where it
    is known what that predicts.
    """
    folders = list(subsets)
    writer = _Writer(base)
    for option in by_name().values():
        _one(option.name, settings, writer)
    _samples(settings, writer)
    _prediction(settings, writer)
    _network(settings, writer)
    _parts(settings, writer)
    _caches(settings, writer)
    values = writer.values
    values["no_half_vae"] = True
    # sd-scripts joins both with file names and has no default: without them it ends at the first sample or save.
    values |= {"output_dir": inert(loras), "output_name": inert(settings.output_name or lora or name)}
    of_dataset = {key: values.pop(key) for key in (*_DATASET, *_SUBSETS, "alpha_mask") if key in values}
    prompts = "".join(f"{line}\n" for line in settings.sample_prompts)
    if folders:
        values["dataset_config"] = inert(folder / f"{name}-dataset.toml")
    else:
        values |= of_dataset
    if prompts:
        values["sample_prompts"] = inert(folder / f"{name}-prompts.txt")
    if any(" --w " not in line for line in settings.sample_prompts):
        writer.findings.append(
            Finding(
                "sd-scripts-sizes",
                "sd-scripts draws prompts without --w and --h at 512 × 512, and not at the training resolution.",
                "Put the size into the prompts, such as --w 1024 --h 1024.",
                level="note",
            )
        )
    batch = {"batch_size": settings.train_batch_size}
    return Exported(
        config=_config(values, writer.unsaid, title),
        dataset=_dataset({**of_dataset, **batch}, folders) if folders else "",
        prompts=prompts,
        findings=writer.findings,
    )


def write(exported: Exported, folder: Path, name: str) -> list[Path]:
    """Write the files into `folder`; none is replaced. Raises UserError `exists`, `disk-full`, `not-writable`."""
    texts = {f"{name}.toml": exported.config}
    texts |= {f"{name}-dataset.toml": exported.dataset} if exported.dataset else {}
    texts |= {f"{name}-prompts.txt": exported.prompts} if exported.prompts else {}
    paths = [folder / file for file in texts]
    there = next((path for path in paths if path.exists() or path.is_symlink()), None)
    if there is not None:
        raise UserError("exists", f"{there} is there already.", "Choose another folder, or another name (--name).")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            atomic_write(path, text.encode("utf-8", "backslashreplace"))
    return paths


# ------------------------------------------------------------------------------------------------------- options
def _one(name: str, settings: Settings, writer: _Writer) -> None:
    value = to_dict(settings)[name]
    if name in _OWN_ONLY:
        if value != by_name()[name].default or name in _QUIET:
            writer.leave(name, value, _OWN_ONLY[name], quiet=name in _QUIET)
    elif name in _PREDICTION or (name in _SAMPLES and not settings.sample_prompts):
        return  # see _prediction and _samples
    elif name == "attention":
        writer.values[str(value)] = True
    elif name == "base_weights":
        _weights(str(value), writer)
    elif name == "lr_scheduler":
        writer.values[name] = settings.schedule
    elif name in ("unet_lr", "text_encoder_lr"):
        _rate(name, str(value), writer)
    elif name == "validate_every_n_epochs" and value == 0:
        why = "without it sd-scripts measures after every epoch, and it cannot be told not to"
        writer.leave(name, value, why, quiet=not settings.validation_split)
    elif name == "pretrained_model_name_or_path" and value == "micro":
        writer.leave(name, value, "the small practice model comes with lora-tui alone")
    elif name == "sample_sampler" and value not in SAMPLERS:
        writer.leave(name, value, "sd-scripts does not know it and would take ddim")
    elif name == "max_token_length":
        if value != 75:  # sd-scripts wants nothing for it
            writer.values[name] = value
    elif name in SAME or name in _PLAIN:
        nothing = value == "" or value == [] or (value == 0 and not isinstance(value, bool) and name in _NOT_ZERO)
        if not nothing or name == "optimizer_args":
            writer.values[name] = value


_PLAIN = frozenset(
    {
        "optimizer_type", "optimizer_args", "learning_rate", "lr_warmup_steps", "lr_decay_steps",
        "lr_scheduler_num_cycles", "lr_scheduler_power", "lr_scheduler_min_lr_ratio", "lr_scheduler_args",
        "max_train_epochs", "sample_sampler",
    }
)  # fmt: skip


def _samples(settings: Settings, writer: _Writer) -> None:
    """Without prompts sd-scripts ends with an error where the first sample is due."""
    if settings.sample_prompts:
        return
    values = to_dict(settings)
    asked = [name for name in _SAMPLES if values[name] and name != "sample_sampler"]
    for name in asked:
        writer.leave(name, values[name], "sd-scripts draws samples only from a file sample_prompts", quiet=True)
    if asked:
        writer.findings.append(
            Finding(
                "sd-scripts-no-prompts",
                "sd-scripts draws no samples, for there are no prompts.",
                f"To have some, write a file of prompts, and set sample_prompts and {asked[0]} in the configuration.",
                level="note",
            )
        )


def _prediction(settings: Settings, writer: _Writer) -> None:
    """sd-scripts takes every model for one that predicts noise, and would train another one into ruin."""
    values = to_dict(settings)
    if writer.base is not None:
        base = as_trained(writer.base, settings)
        found = (base.prediction_type == "v_prediction", base.zero_terminal_snr)
        writer.values |= {name: True for name, is_so in zip(_PREDICTION, found, strict=True) if is_so}
    unknown = []
    for name in _PREDICTION:
        if values[name] != "auto":
            writer.values[name] = values[name] == "true"
        elif writer.base is None and values["v_parameterization"] != "false":
            unknown.append(name)
            writer.leave(name, "auto", "sd-scripts cannot tell: set it to true for a v-prediction model", quiet=True)
    if unknown:
        writer.findings.append(
            Finding(
                "sd-scripts-prediction",
                "What the base model predicts is not known here, and sd-scripts cannot tell: it would train it as one "
                "that predicts noise.",
                f"For a v-prediction model set {' and '.join(f'{name} = true' for name in unknown)} in the "
                "configuration.",
            )
        )


def _weights(value: str, writer: _Writer) -> None:
    if value == "fp8":
        writer.values |= {"fp8_base": True, "fp8_base_unet": True}
    elif value != "full":
        writer.leave("base_weights", value, "sd-scripts has 8 bits at least, with fp8_base")


def _rate(name: str, value: str, writer: _Writer) -> None:
    rates = [float(part) for part in value.split()]
    if not rates:
        return
    writer.values[name] = rates[0] if name == "unet_lr" else rates[:1]
    if len(set(rates)) > 1:
        writer.leave(name, value, "sd-scripts gives both text encoders of SDXL the first of the two rates")


def _network(settings: Settings, writer: _Writer) -> None:
    writer.values["network_module"] = "networks.lora"
    arguments = []
    if settings.conv_dim:
        arguments += [f"conv_dim={settings.conv_dim}", f"conv_alpha={settings.conv_alpha!r}"]
    for name in ("rank_dropout", "module_dropout"):
        if value := getattr(settings, name):
            arguments.append(f"{name}={value!r}")
    if arguments:
        writer.values["network_args"] = arguments


def _parts(settings: Settings, writer: _Writer) -> None:
    one, two = settings.train_text_encoder_1, settings.train_text_encoder_2
    if one != two:
        which = "train_text_encoder_2" if one else "train_text_encoder_1"
        writer.leave(which, False, "sd-scripts trains both text encoders or none, and would train both")
    if settings.train_unet and not (one or two):
        writer.values["network_train_unet_only"] = True
    elif not settings.train_unet and (one or two):
        writer.values["network_train_text_encoder_only"] = True
    elif not settings.train_unet:
        writer.leave("train_unet", False, "with nothing to train sd-scripts would train everything")


def _caches(settings: Settings, writer: _Writer) -> None:
    """sd-scripts stops where captions change although they are encoded once, which here go together."""
    if not settings.cache_text_encoder_outputs:
        return
    changes = settings.caption_dropout_rate or settings.shuffle_caption or settings.caption_tag_dropout_rate
    if not changes and not trains_text(settings):
        return
    writer.values["cache_text_encoder_outputs"] = False
    if trains_text(settings):
        why = "while a text encoder is trained captions are encoded at every step, here too; sd-scripts would stop"
    else:
        why = "sd-scripts encodes captions once only where they never change, and needs about 1.6 GB more without"
    writer.leave("cache_text_encoder_outputs", True, why)


# --------------------------------------------------------------------------------------------------------- texts
def _config(values: Mapping[str, object], unsaid: Mapping[str, str], title: str) -> str:
    document = tomlkit.document()
    document.add(tomlkit.comment(f"{inert(title, 200) or 'Settings'}, for sdxl_train_network.py --config_file"))
    document.add(tomlkit.comment("Written by lora-tui. On another machine its paths have to be changed."))
    left = dict(values)
    for section, groups in SECTIONS.items():
        names = [option.name for option in by_name().values() if option.group in groups]
        names += _OTHERS.get(section, ())
        table = tomlkit.table()
        for name in names:
            if name in left:
                table.add(name, left.pop(name))
        for name in names:
            if name in unsaid:
                table.add(tomlkit.comment(unsaid[name]))
        if table.value or any(name in unsaid for name in names):
            document.add(section, table)
    table = tomlkit.table()
    for name, value in left.items():
        table.add(name, value)
    for name, text in unsaid.items():
        if by_name()[name].group in ("Captions", "Pictures"):
            table.add(tomlkit.comment(text))
    document.add("data", table)
    return tomlkit.dumps(document)


_OTHERS: dict[str, tuple[str, ...]] = {
    "model": ("output_dir",),
    "network": ("network_module", "network_args"),
    "learning": ("network_train_unet_only", "network_train_text_encoder_only"),
    "training": ("sdpa", "xformers", "fp8_base", "fp8_base_unet", "no_half_vae"),
}


def _dataset(values: Mapping[str, object], folders: list[Subset]) -> str:
    document = tomlkit.document()
    general, dataset = tomlkit.table(), tomlkit.table()
    for name in _SUBSETS:
        if name in values:
            general.add(name, values[name])
    width, height = parse_resolution(values["resolution"])
    dataset.add("resolution", [width, height])
    for name in ("batch_size", *_DATASET[1:]):
        if name in values:
            dataset.add(name, values[name])
    subsets = tomlkit.aot()
    for folder in folders:
        subset = tomlkit.table()
        subset.add("image_dir", inert(folder.folder))
        subset.add("num_repeats", folder.repeats)
        if folder.words:
            subset.add("class_tokens", inert(folder.words))
        if folder.is_reg:
            subset.add("is_reg", True)
        if values.get("alpha_mask"):
            subset.add("alpha_mask", True)
        subsets.append(subset)
    dataset.add("subsets", subsets)
    datasets = tomlkit.aot()
    datasets.append(dataset)
    document.add("general", general)
    document.add("datasets", datasets)
    return tomlkit.dumps(document)
