"""Which layer a tensor belongs to, by its path."""


def layer_of(path: str) -> str:
    """The module that uses a parameter or buffer; what it is computed from lies deeper than its module.

    PyTorch keeps what a parametrized weight is computed from in `<layer>.parametrizations.<weight>`.
    """
    steps = path.split(".")
    if "parametrizations" in steps[:-2]:
        return ".".join(steps[: steps.index("parametrizations")])
    return path.rpartition(".")[0]
