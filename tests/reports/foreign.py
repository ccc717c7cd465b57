"""What other tools record, made up."""

from pathlib import Path
from typing import Literal

Direction = Literal["minimize", "maximize"]


def optuna_storage(folder: Path, direction: Direction = "maximize", studies: int = 1) -> str:
    """A SQLite storage with studies of six trials: four finished, one pruned, one failed; and one waiting."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = f"sqlite:///{folder / 'runs.db'}"
    for number in range(studies):
        study = optuna.create_study(
            study_name=f"search-{number}",
            storage=storage,
            direction=direction,
            sampler=optuna.samplers.RandomSampler(seed=number),
        )

        def objective(trial: optuna.Trial) -> float:
            rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
            trial.suggest_categorical("activation", ["relu", "tanh"])
            trial.set_user_attr("test_accuracy", 0.9 - rate)
            trial.set_user_attr("parameters", 1000 + trial.number)
            if trial.number == 1:
                raise optuna.TrialPruned
            if trial.number == 2:
                raise ValueError("no memory")
            return 0.91 - rate

        study.optimize(objective, n_trials=6, catch=(ValueError,))
        study.enqueue_trial({"rate": 0.01})
    return storage
