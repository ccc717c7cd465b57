"""The units that a search's cost is told in: their columns, symbols and names.

Units add up over the trials of a search. What does not, such as memory and latency, is an axis
(`reports.size_axes`).
"""

#: Counting trials: every trial costs 1.
TRIALS = "trials"
#: Counting epochs: what a replay pays in where the study's unit is not recorded epoch by epoch.
EPOCHS = "epochs"
#: Columns of a trial table that hold a cost, with their units.
COST_COLUMNS = {
    "train_flops": "FLOP",
    "train_seconds": "s",
    "joules": "J",
    "total_train_flops": "FLOP",
    "total_train_seconds": "s",
}
#: Units that count what a trial begins from, too -> the trial's own.
TOTALS = {"total_train_flops": "train_flops", "total_train_seconds": "train_seconds"}
#: Seconds of a device, times the share of it that a trial was given.
DEVICE_SECONDS = "device_seconds"
#: The recorded columns that it adds up; waiting for a bundle is no work of the method.
DEVICE_SECONDS_PARTS = ("warm_up_seconds", "train_seconds", "evaluation_seconds")
#: Every unit a cost can be told in.
COST_UNITS = (TRIALS, *COST_COLUMNS, DEVICE_SECONDS)
#: The column without which a unit cannot be told, for units that no column holds by themselves.
MADE_OF = {DEVICE_SECONDS: "train_seconds"}

_SYMBOLS = {**COST_COLUMNS, DEVICE_SECONDS: "s", TRIALS: "trials"}
_NAMES = {
    "train_seconds": "training time",
    DEVICE_SECONDS: "device time",
    "train_flops": "training FLOPs",
    "joules": "energy",
    "total_train_flops": "training FLOPs with origins",
    "total_train_seconds": "training time with origins",
    TRIALS: "trials",
}


def unit_symbol(unit: str) -> str:
    """What stands behind an amount: s, FLOP, J."""
    return _SYMBOLS.get(unit, unit)


def unit_name(unit: str) -> str:
    """What a cost is called in a sentence."""
    return _NAMES.get(unit, unit.replace("_", " "))
