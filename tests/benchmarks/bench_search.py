"""One search, from process start to results, against a script written by hand for Ray Tune and Optuna.

The script is not part of this project: $HARNESS_PEER names it. It does the same search in two styles,
`tutorial` (a process a trial, DataLoader) and `expert` (actors reused, data as tensors, loggers off).
Ours may not be slower than `expert`, and writes its report in the time measured; theirs write none.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.timing import harness_command, machine, seconds_of

STUDY = Path(__file__).with_name("one_search.yaml")
PAIRS = 5  # machines are noisy: ours and theirs in turn, the median of the ratios


def main() -> bool:
    """Print the figures; whether ours is no slower than `expert`."""
    peer = Path(os.environ.get("HARNESS_PEER", "../shared/peers/ray_tune_script.py"))
    print(machine())
    if not peer.is_file():
        print(f"NOT COMPARED: {peer} is not there; name the script with HARNESS_PEER")
        return False
    cores = len(os.sched_getaffinity(0))
    _ours()  # decodes the data, warms the disk
    ratios = []
    for _ in range(PAIRS):
        ours, theirs = _ours(), _theirs(peer, "expert", cores)
        ratios.append(ours / theirs)
        print(f"ours {ours:.1f} s, expert {theirs:.1f} s, ratio {ours / theirs:.2f}", flush=True)
    tutorial = _theirs(peer, "tutorial", cores)
    ours = _ours()
    print(f"ours {ours:.1f} s, tutorial {tutorial:.1f} s, ratio {ours / tutorial:.2f}")
    median = statistics.median(ratios)
    print(f"median ratio to expert: {median:.2f} (at most 1)")
    return median <= 1


def _ours() -> float:
    with tempfile.TemporaryDirectory() as folder:
        return seconds_of(harness_command("run", str(STUDY), "--out", f"{folder}/run"))[0]


def _theirs(peer: Path, style: str, cores: int) -> float:
    return seconds_of([sys.executable, str(peer), style, "digits", "40", "20", str(cores)])[0]
