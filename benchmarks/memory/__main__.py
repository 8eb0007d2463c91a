"""Memory of a training, simulated without a GPU, and the formula that the app predicts it with.

python -m benchmarks.memory simulate   every configuration that has no file in benchmarks/memory_grid yet
python -m benchmarks.memory fit        writes engine/plan/memory_fit.json from these files
python -m benchmarks.memory check      how far off predictions are for what they were not fitted to
python -m benchmarks.memory reality    the counter beside real steps on the processor (--full: also full size)
python -m benchmarks.memory known      the figures that are known from elsewhere, and ours beside them
python -m benchmarks.memory published  what people wrote that trainings needed, and what is predicted
python -m benchmarks.memory table      predictions for usual settings
"""

from __future__ import annotations

import argparse
import gc
import logging
import time
import warnings

from benchmarks.memory import fit, grid, known, reality


def simulate() -> None:
    wanted = [configuration for configuration in grid.every() if not configuration.path.exists()]
    for number, configuration in enumerate(wanted, start=1):
        began = time.monotonic()
        configuration.write()
        gc.collect()
        print(f"{number}/{len(wanted)}  {time.monotonic() - began:5.1f} s  {configuration.name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["simulate", "fit", "check", "reality", "known", "published", "table"])
    parser.add_argument("--full", action="store_true", help="reality: also the full model, about 10 GB of memory")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    match args.what:
        case "simulate":
            simulate()
        case "fit":
            fit.write()
        case "check":
            fit.print_check()
        case "reality":
            reality.print_reality(args.full)
        case "known":
            known.print_known()
        case "published":
            known.print_published()
        case "table":
            known.print_table()


if __name__ == "__main__":
    main()
