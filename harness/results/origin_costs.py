"""What a trial costs together with the trials that it begins from."""

from collections.abc import Mapping

from harness.records.record import Record

_COSTS = ("train_flops", "train_seconds")


def costs_with_origins(record: Record, records: Mapping[str, Record]) -> dict[str, float | None]:
    """Columns `origin_...`, the costs of all that a trial begins from, and `total_...`, its own added.

    None where there is nothing to be told: no origin, or one whose record is not among these.

    Args:
        records: of the run, by trial id.
    """
    chain: list[Record | None] = []
    before = record.origin_trial_id
    while before is not None:
        origin = records.get(before)
        chain.append(origin)
        before = None if origin is None else origin.origin_trial_id
    known = [origin for origin in chain if origin is not None]
    columns: dict[str, float | None] = {}
    for name in _COSTS:
        whole = sum(getattr(origin.costs, name) for origin in known) if len(known) == len(chain) else None
        columns[f"origin_{name}"] = whole if chain else None
        columns[f"total_{name}"] = None if whole is None else whole + getattr(record.costs, name)
    return columns
