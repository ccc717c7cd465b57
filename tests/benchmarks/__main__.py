"""Runs every benchmark (`bench_*.py`), or those named: `python -m tests.benchmarks search quickstart`."""

import importlib
import sys
from pathlib import Path


def main() -> None:
    found = {
        path.stem.removeprefix("bench_").replace("_", "-"): path.stem
        for path in Path(__file__).parent.glob("bench_*.py")
    }
    wanted = sys.argv[1:] or sorted(found)
    unknown = [name for name in wanted if name not in found]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are: {', '.join(sorted(found))}")
    missed = []
    for name in wanted:
        print(f"== {name}", flush=True)
        if not importlib.import_module(f"tests.benchmarks.{found[name]}").main():
            missed.append(name)
    if missed:
        sys.exit(f"below their bars: {', '.join(missed)}")


if __name__ == "__main__":
    main()
