"""Workers of one machine share the memory of a split: the pages of the cache's files."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.datasets import DatasetSpec, load_split

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="reads Linux's /proc/PID/smaps")

#: Loads digits, reads every value, says so, and stays until its input closes.
WORKER = """
import sys
from pathlib import Path
from harness.datasets import DatasetSpec, load_split
split = load_split(DatasetSpec("digits", "digits"), None, validation_fraction=0.2, split_seed=0, device="cpu",
                   cache_root=Path(sys.argv[1]))
print(split.train.x.sum().item(), split.train.x.data_ptr(), flush=True)
sys.stdin.read()
"""


def _mapping(pid: int, address: int) -> dict[str, str]:
    """What the kernel says of the mapping that an address lies in: its file, and how its pages are shared."""
    fields: dict[str, str] = {}
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and ":" not in first:
            start, end = (int(bound, 16) for bound in first.split("-"))
            if fields:
                return fields
            inside = start <= address < end
            fields = {"file": rest.split(maxsplit=4)[-1]} if inside else {}
        elif fields:
            fields[first.rstrip(":")] = rest.strip()
    return fields


def test_two_processes_map_one_file_and_copy_none_of_it(cache: Path) -> None:
    load_split(
        DatasetSpec("digits", "digits"),
        None,
        validation_fraction=0.2,
        split_seed=0,
        device="cpu",
        cache_root=cache,
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        said = [worker.stdout.readline().split() for worker in workers if worker.stdout]
        assert said[0][0] == said[1][0]
        maps = [_mapping(worker.pid, int(line[1])) for worker, line in zip(workers, said, strict=True)]
    finally:
        for worker in workers:
            worker.communicate()
    assert maps[0]["file"] == maps[1]["file"]
    assert maps[0]["file"].startswith(str(cache / "splits"))
    assert maps[0]["file"].endswith("x_train.npy")
    for mapped in maps:
        assert mapped["Anonymous"] == "0 kB"  # nothing was copied
        assert int(mapped["Rss"].split()[0]) >= 1150 * 64 * 4 // 1024
