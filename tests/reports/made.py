"""Made-up trial tables with a fixed seed, and designs for them."""

import numpy as np
import pandas as pd

from harness.design import ArmDesign, Claim, StudyDesign

METHODS = ("fixed", "l2", "shrinknets")
CELLS = (("digits", "mlp"), ("digits", "lenet5"), ("fashion-mnist", "mlp"))


def made_table(
    cells: int = 1, trials: int = 20, methods: tuple[str, ...] = METHODS, failures: float = 0.1
) -> pd.DataFrame:
    """A table as a finished study gives it: skewed scores, a few bad trials, a few failed ones."""
    rng = np.random.default_rng(7)
    rows = []
    for cell, (dataset, architecture) in enumerate(CELLS[:cells]):
        for number, method in enumerate(methods):
            for index in range(trials):
                failed = index > 0 and rng.random() < failures
                skill = 0.85 - 0.04 * cell + 0.1 * rng.beta(5, 1.5) + 0.005 * number
                if rng.random() < 0.05:
                    skill -= 0.3
                none = float("nan")
                rows.append(
                    {
                        "dataset": dataset,
                        "architecture": architecture,
                        "method": method,
                        "val_accuracy": none if failed else rng.binomial(5000, skill) / 5000,
                        "test_accuracy": none if failed else rng.binomial(10000, skill) / 10000,
                        "trial_id": f"{dataset}-{architecture}-{method}-{index}",
                        "index": index,
                        "status": rng.choice(["diverged", "out_of_memory"]) if failed else "ok",
                        "sampling": "iid",
                        "sampler": "RandomSampler",
                        "split_seed": 0,
                        "parameters": none if failed else int(10 ** rng.uniform(3.5, 5.5) / (1 + number)),
                        "train_seconds": rng.gamma(3, 2),
                        "train_flops": rng.gamma(3, 1e10),
                        "n_test": 10000,
                        "message": "loss is not finite at step 12" if failed else "",
                        "param_weight_decay": 10 ** rng.uniform(-6, -2),
                    }
                )
    return pd.DataFrame(rows)


def made_design(table: pd.DataFrame, missing: int = 0) -> StudyDesign:
    """The design that the table carried out; `missing` trials an arm are still to run."""
    space = {"weight_decay": {"type": "float", "low": 1e-6, "high": 1e-2, "log": True}}
    arms = [
        ArmDesign(
            dataset=str(dataset),
            architecture=str(architecture),
            method=str(method),
            sampler="RandomSampler",
            sampling="iid",
            trials=len(part) + missing,
            epochs=20,
            space=space,
            reach={"hidden_1": (1, 256)},
        )
        for (dataset, architecture, method), part in table.groupby(["dataset", "architecture", "method"])
    ]
    return StudyDesign(
        name="made up",
        description="Does shrinking save search cost?",
        arms=tuple(arms),
        claim=Claim(baseline="fixed", n=3, cost="train_flops", margin=0.002),
        paired=False,
        settings={"batch size": "128"},
    )


def made_histories(table: pd.DataFrame, method: str, epochs: int = 10) -> pd.DataFrame:
    """Per-epoch histories of a method whose networks shrink, faster the larger its weight decay."""
    rows = []
    for trial in table[(table["method"] == method) & (table["status"] == "ok")].to_dict("records"):
        rate = 0.08 * (np.log10(float(trial["param_weight_decay"])) + 7)
        rows += [
            {
                "trial_id": trial["trial_id"],
                "dataset": trial["dataset"],
                "architecture": trial["architecture"],
                "method": method,
                "epoch": epoch,
                "train_loss": 2.3 * np.exp(-0.3 * epoch),
                "val_score": trial["val_accuracy"],
                "units_total": int(256 * np.exp(-rate * epoch)) + 4,
                "parameters": 1000,
            }
            for epoch in range(1, epochs + 1)
        ]
    return pd.DataFrame(rows)
