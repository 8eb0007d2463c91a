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
    scale_weight_norms: float = option(
        5.0, "Limit of the weights", "Network",
        "Holds back parts of the LoRA that grow too strong, which helps it to work beside other LoRAs; 1 is strict, "
        "5 is loose, 0 is off.",
        usual="1 to 5, or 0", guide="5", limits=(0.0, 1000.0),
        page="basic", words="overfitting max norm burnt", step=0.5,
    )
    # fmt: on
