"""`make bench`: all measurements as a table, and as JSON in build/bench.json."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks import counting, peer, speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--model", default="micro")
    parser.add_argument("--peer", type=Path, help="diffusers' train_text_to_image_lora_sdxl.py, to be run beside ours")
    args = parser.parse_args()
    if args.peer is not None:
        beside_peer(args.peer)
        return

    measured = speed.measure(speed.prepare(args.model))
    ours, plain = counting.count_ours(), counting.count_plain()
    rows = [
        ("images per second, ours", f"{measured.images_per_second['ours']:.1f}", ""),
        ("  plain loop (encodes in every step)", f"{measured.images_per_second['plain']:.1f}", ""),
        ("  plain loop, cached", f"{measured.images_per_second['plain cached']:.1f}", ""),
        ("times as fast as the plain loop", f"{measured.over_plain:.2f}", "at least 1.5"),
        ("times as fast as it is with caches", f"{measured.over_plain_cached:.2f}", "at least 1.15"),
        ("largest difference of a loss, relative", f"{measured.loss_difference:.1e}", "under 1e-3"),
        ("a whole step over the U-Net's forward and backward", f"{measured.step_over_unet:.3f}", "at most 1.15"),
        ("  of it the optimizer, ms", f"{measured.optimizer_seconds * 1000:.2f}", ""),
        ("  U-Net forward and backward, ms", f"{measured.unet_seconds * 1000:.2f}", ""),
        ("tensor operations a step outside the U-Net, SDXL's LoRA", f"{ours.operations:.0f}", "at most 500"),
        ("  one tensor a parameter, norms multiplied out", f"{plain.operations:.0f}", ""),
        ("host syncs a step", f"{ours.syncs:.0f}", "at most 4"),
        ("  one tensor a parameter, norms multiplied out", f"{plain.syncs:.0f}", ""),
    ]
    for name, value, goal in rows:
        print(f"{name:<58} {value:>10}  {goal}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    result = {"threads": torch.get_num_threads(), "torch": torch.__version__, "speed": asdict(measured)}
    result["counts"] = {"ours": asdict(ours), "plain": asdict(plain)}
    args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"\nwritten to {args.json}")


def beside_peer(script: Path) -> None:
    """The diffusers example and ours, a line each; a sentence where it cannot run."""
    try:
        found = peer.measure(script)
    except peer.PeerCannotRunError as reason:
        raise SystemExit(str(reason)) from None
    print(f"{'seconds a step, ours':<58} {found.ours:>10.4f}")
    print(f"{'  ' + script.name:<58} {found.peer:>10.4f}")
    print(f"{'times as fast':<58} {found.peer / found.ours:>10.2f}")


if __name__ == "__main__":
    main()
