"""What a study asks of training, in words: the same in the plan and on the page."""

from harness.design import Score
from harness.study.training import Task, Training


def task_told(task: Task, score: Score) -> str:
    """What is learned, and what it is judged by."""
    options = "".join(f", {name} {value}" for name, value in task.options.items() if name != "score")
    direction = "higher" if score.higher_is_better else "lower"
    return f"{task.name}{options}; scored by {score.name}, {direction} is better"


def training_told(training: Training) -> dict[str, str]:
    """What a study asks beyond what every study does: label -> text."""
    schedule, augmentation = training.schedule, training.augmentation
    options = "".join(f", {name} {value}" for name, value in schedule.options.items())
    warm_up = f"warm-up over {schedule.warm_up_epochs} epoch(s)" if schedule.warm_up_epochs else ""
    named = f"{schedule.name}{options}, by {schedule.every}" if schedule.name else ""
    done = augmentation.model_dump(exclude_defaults=True)
    changes = ", ".join(
        name.replace("_", " ")
        + ("" if value is True else f" ({', '.join(f'{k} {v}' for k, v in value.items())})")
        for name, value in done.items()
    )
    asked = {
        "Learning rate": ", ".join(filter(None, (warm_up, named))),
        "Augmentation": changes,
        "Images resized to": "" if training.resize is None else f"{training.resize} pixels a side",
        "Gradient clipped to": "" if training.gradient_clip is None else f"norm {training.gradient_clip:g}",
        "Precision": "" if training.precision == "float32" else f"{training.precision}; scores in float32",
        "Compiled": "yes, once a structure has stood for an epoch" if training.compile else "",
    }
    return {label: text for label, text in asked.items() if text}
