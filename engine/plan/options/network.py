"""What the LoRA is made of."""

from __future__ import annotations

from engine.plan.option import OptionGroup, option


class NetworkOptions(OptionGroup):
    """What the LoRA is made of."""

    # fmt: off
    network_dim: int = option(
        96, "Rank", "Network",
        "How much the LoRA can hold: more keeps finer detail, makes a larger file and copies pictures sooner. The file "
        "has about 5.3 MB per rank.",
        usual="8 to 128", guide="96", limits=(1, 1024),
        page="basic", words="rank dimension memory vram file size overfitting detail", step=8,
    )
    network_alpha: float = option(
        48.0, "Alpha", "Network",
        "How strongly the LoRA counts, against its rank: alpha / rank is the factor, 0.5 in the guide; half the alpha "
        "learns about half as fast.",
        usual="half the rank, or the rank itself", guide="48 (half the rank)", limits=(0.001, 4096.0),
        page="basic", words="alpha strength overfitting", step=8,
    )
    conv_dim: int = option(
        0, "Rank of convolutions", "Network",
        "Also trains the convolutions of the model (LoCon), which hold textures and fine strokes; useful for styles, "
        "and makes the file larger. 0 leaves them alone.",
        usual="0, or 4 to 32 for a style", guide="not set (none)", limits=(0, 1024),
        words="locon convolution style texture memory vram file size", step=4,
    )
    conv_alpha: float = option(
        1.0, "Alpha of convolutions", "Network",
        "How strongly the trained convolutions count, against their rank; only used where that is above 0.",
        usual="half the rank of convolutions, or the rank itself", guide="not set", limits=(0.001, 4096.0),
        words="locon convolution alpha strength", step=1,
    )
    network_dropout: float = option(
        0.0, "Dropout of values", "Network",
        "Switches off this share of the LoRA's inner values at random in each step, against learning the pictures by "
        "heart.",
        usual="0, or 0.1 to 0.3", guide="0", limits=(0.0, 0.95),
        words="overfitting dropout", step=0.05,
    )
    rank_dropout: float = option(
        0.0, "Dropout of ranks", "Network",
        "Switches off this share of the ranks at random in each step, so that no rank alone carries a detail.",
        usual="0, or 0.1 to 0.3", guide="0", limits=(0.0, 0.95),
        words="overfitting dropout", step=0.05,
    )
    module_dropout: float = option(
        0.0, "Dropout of layers", "Network",
        "Leaves whole layers of the LoRA out at random in each step, so that it learns to do without any one of them.",
        usual="0, or 0.05 to 0.2", guide="0", limits=(0.0, 0.95),
        words="overfitting dropout", step=0.05,
    )
    network_weights: str = option(
        "", "Start from a LoRA", "Network",
        "Goes on from a LoRA file of any training program in place of starting from nothing; its rank may be smaller "
        "than the one here.",
        usual="empty, or a path", guide="not set", path=True,
        words="continue resume finetune existing lora",
    )
    use_ema: bool = option(
        False, "Average of the weights", "Network",
        "Saves, and draws samples with, a running average of the LoRA over its last steps (EMA), which is smoother "
        "than the LoRA after any one step.",
        usual="off", guide="not there",
        words="ema smooth overfitting memory vram",
    )
    ema_decay: float = option(
        0.999, "Length of the average", "Network",
        "How slowly that average forgets: 0.999 goes over about the last 1000 steps, 0.99 over the last 100.",
        usual="0.99 to 0.9999", guide="not there", limits=(0.0, 0.99999),
        words="ema smooth", step=0.001,
    )
    scale_weight_norms: float = option(
        5.0, "Limit of the weights", "Network",
        "Holds back parts of the LoRA that grow too strong, which helps it to work beside other LoRAs; 1 is strict, "
        "5 is loose, 0 is off.",
        usual="1 to 5, or 0", guide="5", limits=(0.0, 1000.0),
        page="basic", words="overfitting max norm burnt", step=0.5,
    )
    # fmt: on
