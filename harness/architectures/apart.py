"""Questions about networks that need torch, asked where planning must not load it: in a process of their own.

A study is planned without torch, which takes seconds to load; and the code of a network that a study only
names is better not run in the process that plans. Where torch is loaded already, nothing is saved, and the
question is answered there.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.plugins import files


def ask(question: str, about: Mapping[str, Any]) -> Any:
    """The answer of a function of the harness, wherever it runs.

    Args:
        question: `module:function`; takes `about`, and gives what JSON can hold.
        about: what JSON can hold.

    Raises:
        ValueError: if the function raises one, or its process ends without an answer.
        RuntimeError: for whatever else it raises.
    """
    if "torch" in sys.modules:
        return _function(question)(json.loads(json.dumps(about)))
    known = {name: str(path) for name, path in files.known_files().items()}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        asked = {"question": question, "about": about, "files": known, "answer": str(answer)}
        done = subprocess.run(
            [sys.executable, "-m", "harness.architectures.apart"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        if not answer.is_file():
            last = (done.stderr.strip() or "nothing was said").splitlines()[-1]
            raise ValueError(f"the process that looked at the network ended with {done.returncode}: {last}")
        found = json.loads(answer.read_text(encoding="utf-8"))
    if "refused" in found:
        raise ValueError(found["refused"])
    if "raised" in found:
        raise RuntimeError(found["raised"])
    return found["answer"]


def _function(question: str) -> Any:
    module, _, function = question.partition(":")
    return getattr(importlib.import_module(module), function)


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        for path in asked["files"].values():
            files.load_file(Path(path))
        return {"answer": _function(asked["question"])(asked["about"])}
    except ValueError as error:
        return {"refused": str(error)}
    except Exception:  # noqa: BLE001 - told to whoever asked, who raises it
        return {"raised": traceback.format_exc()}


if __name__ == "__main__":
    _asked = json.load(sys.stdin)
    _given = json.dumps(_answer(_asked))
    Path(_asked["answer"]).write_text(_given, encoding="utf-8")
