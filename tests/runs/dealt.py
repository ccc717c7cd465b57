"""A plan of frozen and adaptive arms, and what its trials give: for tests that run none of them."""

from harness.records.record import Costs, Record
from harness.study.plan import Plan, Trial
from tests.making import Fields, a_record, plan_of

FIELDS: Fields = {
    "name": "dealt",
    "datasets": ["digits"],
    "architectures": [{"name": "mlp", "options": {"hidden_layers": 1}, "widths": {"low": 4, "high": 64}}],
    "methods": [
        "fixed",
        {"name": "l2", "trials": 4},
        {
            "name": "tpe",
            "method": "fixed",
            "trials": 7,
            "sampler": {
                "name": "TPESampler",
                "round_size": 3,
                "replicates": 2,
                "options": {"n_startup_trials": 2},
            },
        },
    ],
    "trials": 6,
    "training": {"epochs": 1, "batch_size": 64},
    "claim": {"baseline": "fixed"},
}

PLAN: Plan = plan_of(FIELDS)

#: The same with controls: of both kinds of arms, of another control, and before the arm they begin from.
CONTROLLED: Plan = plan_of(
    FIELDS
    | {
        "methods": [
            {"name": "of-of-tpe", "method": "l2", "of": "of-tpe", "trials": 5},
            *FIELDS["methods"],
            {"name": "of-tpe", "method": "l2", "of": "tpe"},
            {"name": "of-fixed", "method": "l2", "of": "fixed", "trials": 3},
        ]
    }
)

#: Every point trained three times, on two splits, with controls.
REPEATED: Plan = plan_of(
    FIELDS
    | {
        "methods": [{"name": "of-l2", "method": "fixed", "of": "l2", "trials": 3}, *FIELDS["methods"][:2]],
        "seeds": {"repeats": 3, "splits": 2},
    }
)

ADAPTIVE = "digits/mlp/tpe"


def record_of(trial: Trial, seconds: float = 0.5) -> Record:
    """What the trial always gives, however often and wherever it is run: some fail."""
    number = int(trial.id, 16)
    ok = number % 5 != 0
    return a_record(
        trial_id=trial.id,
        arm=trial.arm,
        replicate=trial.replicate,
        index=trial.index,
        repeat=trial.repeat,
        params=dict(trial.params),
        seeds=dict(trial.seeds),
        status="ok" if ok else "crashed",
        val_score=number % 1000 / 1000 if ok else None,
        costs=Costs(0.0, 0.0, seconds, 0.0, 1, "x", 1.0),
    )
