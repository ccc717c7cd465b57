"""Connects to a Ray cluster, or starts one on this machine: addresses, tokens, how many workers there are.

Ray's local clusters demand a token of whoever connects since 2.59, and `ray start --head` does so wherever it
finds one; but a client that names an address sends none unless told. Nor may it send one unasked: the
workers of a cluster without tokens then never reach the client, and the run hangs (tried on 2.60).
"""

import importlib.util
import logging
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._raylet import Config  # type: ignore[attr-defined] # compiled, and listed nowhere

from harness.runs.executors.base import ExecutorError, ResourcesError
from harness.study.plan import Plan

CONNECT_SECONDS = 30

_MODE, _TOKEN, _TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
#: What Ray's own log calls a token that a cluster does not take.
_REFUSED_TOKEN = ("InvalidAuthToken", "Unauthenticated", "AuthenticationError")
_RPC_ERROR = re.compile(r"RPC error: (.+)")


@contextmanager
def connection(plan: Plan, address: str | None) -> Iterator[int]:
    """Connect to a cluster, or start one on this machine; leave it, or stop it, at the end.

    Args:
        address: of a running cluster; None for the one that RAY_ADDRESS names (Ray's job commands set it),
            else one of our own, whatever else runs on this machine.

    Returns:
        How many trials the cluster runs at once.

    Raises:
        ExecutorError: if the address does not answer, or the cluster lacks what a trial is given.
    """
    named, without = f"--address {address}", "leave --address out"
    if not address and (address := os.environ.get("RAY_ADDRESS") or None):
        named, without = f"RAY_ADDRESS={address}", "unset RAY_ADDRESS"
    if address:
        _check_answers(address, named, without)
    for name in ("ray", "ray.tune", "ray.air"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a lost worker is told in our own words
    here: dict[str, Any] = {}
    if not address:
        here = {"include_dashboard": False, "num_cpus": _usable_cpus()}
        if not _token_source():  # Ray would write one into the home directory, which may be read-only
            os.environ[_TOKEN] = secrets.token_hex(32)
    try:
        ray.init(
            # Without "local" Ray would join any cluster that it finds on this machine.
            address=address or "local",
            **here,
            log_to_driver=False,
            configure_logging=False,
            logging_level=logging.ERROR,
        )
    except (RuntimeError, OSError, ConnectionError, ray.exceptions.RayError) as error:
        whose = named if address else "Ray"
        raise ExecutorError(f"{whose}: no cluster can be used: {_reason(str(error))}") from error
    try:
        yield _count_workers(plan)
    finally:
        # Here and not beside the report, though it takes a second: what Tune leaves to be collected speaks
        # to Ray once more, and Ray ends the process if it finds itself shut down by another thread.
        ray.shutdown()


def _token_source() -> str | None:
    """Where Ray finds a token on this machine, in its own order; None if nowhere."""
    for name in (_TOKEN, _TOKEN_PATH):
        if os.environ.get(name):
            return name
    default = Path("~/.ray/auth_token").expanduser()
    return str(default) if default.is_file() and os.access(default, os.R_OK) else None


def _usable_cpus() -> int:
    """Cores that this process may use, where the system tells (macOS does not)."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _check_answers(address: str, named: str, without: str) -> None:
    """See that a cluster answers, and have Ray send a token if it demands one.

    Ray waits for minutes for a cluster that is not there, so another process tries first.
    """
    if address.startswith("ray://") and importlib.util.find_spec("grpc") is None:
        raise ExecutorError(
            f"{named}: addresses of this form need Ray's client, which is not installed: "
            "pip install 'sizing-harness[client]', or give the head's own address, HOST:6379"
        )
    mode_was_chosen = _MODE in os.environ
    if not mode_was_chosen:
        _set_mode("disabled")  # in so many words: for `auto` Ray would send a token that lies about
    said = _try_to_connect(address)
    if said and _demands_token(said) and not mode_was_chosen:
        _set_mode("token")
        if _token_source():
            said = _try_to_connect(address)
    if said is None:
        return
    if said == "":
        raise ExecutorError(
            f"{named}: no Ray cluster answered within {CONNECT_SECONDS} s; "
            f"start one with `ray start --head`, or {without} to run on this machine"
        )
    if _demands_token(said):
        raise ExecutorError(f"{named}: {_about_tokens()}")
    raise ExecutorError(f"{named}: cannot connect to a Ray cluster there: {_reason(said)}")


def _set_mode(mode: str) -> None:
    os.environ[_MODE] = mode
    Config.initialize("")  # Ray has read its mode when it was loaded; this is how it reads it again


def _try_to_connect(address: str) -> str | None:
    """None if a cluster answers, else what Ray said of it; an empty text if it was silent for too long."""
    attempt = f"import ray; ray.init(address={address!r}, logging_level='ERROR'); ray.shutdown()"
    process = subprocess.Popen([sys.executable, "-c", attempt], stderr=subprocess.PIPE, text=True)
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        process.kill()

    timer = threading.Timer(CONNECT_SECONDS, end)
    timer.start()
    said = ""
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if _demands_token(line):  # Ray would ask again for 20 s
                process.kill()
    timer.cancel()
    if process.returncode == 0:
        return None
    return "" if is_late.is_set() else said or "no reason given"


def _demands_token(said: str) -> bool:
    return any(word in said for word in _REFUSED_TOKEN)


def _about_tokens() -> str:
    """Why a cluster took no token of ours, and what to do."""
    then = (
        "show the cluster's with `ray get-auth-token` on its head node (before `ray start`, "
        f"`ray get-auth-token --generate` makes one) and give it here in {_TOKEN} or in the file "
        "~/.ray/auth_token"
    )
    mode, source = os.environ[_MODE], _token_source()
    if mode.lower() != "token":
        return (
            f"the Ray cluster there demands a token, and {_MODE} is {mode!r} here; set {_MODE}=token, and "
            f"{then}"
        )
    if source is None:
        return f"the Ray cluster there demands a token, and there is none here; {then}"
    return f"the Ray cluster there does not take the token of {source}; {then}"


def _reason(said: str) -> str:
    """The last line of what Ray said, with the cause that only its log tells."""
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()] or ["no reason given"]
    hidden = _RPC_ERROR.findall(said)
    return lines[-1] if not hidden or hidden[-1] in lines[-1] else f"{lines[-1]} ({hidden[-1]})"


def _count_workers(plan: Plan) -> int:
    """How many trials the cluster can run at once. Raises ResourcesError if not even one."""
    resources = plan.study.resources
    asked = {"cpus": ("CPU", resources.cpus), "gpus": ("GPU", resources.gpus)}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    # A trial lies on one node, so what several nodes have left over adds up to nothing.
    workers = sum(
        min(int(node.get(kind, 0) / amount + 1e-9) for kind, amount in asked.values() if amount)
        for node in nodes
    )
    if workers == 0:
        for name, (kind, amount) in asked.items():
            most = max((node.get(kind, 0) for node in nodes), default=0)
            if most < amount:
                raise ResourcesError(
                    f"resources.{name}: {amount:g} {kind} is asked for each trial, and no machine "
                    f"of the cluster has more than {most:g}"
                )
        raise ResourcesError("resources: no machine of the cluster has both the CPU and the GPU asked for")
    return workers
