"""How every trial is trained, as a study writes it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from harness.nearest import nearest
from harness.study.optimizers import OPTIMIZERS, check_options
from harness.study.parts import Count, Options, Part, Size, added, named
from harness.study.schedulers import check_schedule


class Optimizer(Part):
    """An optimizer of torch.optim by name, with its options; weight decay belongs to methods."""

    name: str = "Adam"
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    options: Options = {}

    @model_validator(mode="after")
    def _known(self) -> "Optimizer":
        if self.name not in OPTIMIZERS:
            raise ValueError(f"there is no optimizer {self.name!r}{nearest(self.name, OPTIMIZERS)}")
        check_options(self.name, self.options)
        return self


class Task(Part):
    """What is learned: loss and score. A registered objective, or one of your own by `module:attribute`."""

    name: str = "classification"
    options: Options = {}


class LearningRateSchedule(Part):
    """How the learning rate changes: every phase's rate is multiplied by what this says."""

    name: str = Field(default="", description="a class of torch.optim.lr_scheduler; none unless said")
    options: Options = Field(
        default={}, description="its own; rates as multiples of the phase's, lengths the phase's unless said"
    )
    every: Literal["epoch", "step"] = Field(default="epoch", description="when it moves on")
    warm_up_epochs: int = Field(
        default=0, ge=0, description="at the start of the trial, rising step by step from near nothing"
    )

    @model_validator(mode="after")
    def _known(self) -> "LearningRateSchedule":
        if self.name:
            check_schedule(self.name, self.options, self.every)
        elif self.options:
            raise ValueError(f"options {', '.join(self.options)} of no scheduler; its name is needed")
        return self


class CropOptions(Part):
    """Options of `random_crop`."""

    padding: int = Field(
        ge=1, description="pixels on each side, blank, before a piece of the old size is cut"
    )


class CutoutOptions(Part):
    """Options of `cutout`."""

    size: int = Field(ge=1, description="pixels a side of the blank square")


class MixupOptions(Part):
    """Options of `mixup`."""

    alpha: float = Field(gt=0, description="shares are drawn from Beta(alpha, alpha)")


class Augmentation(Part):
    """What is done to training examples, in this order; each at random, an example at a time."""

    random_crop: CropOptions | None = None
    flip: bool = Field(default=False, description="left to right, half of the examples")
    cutout: CutoutOptions | None = None
    mixup: MixupOptions | None = None


class Training(Part):
    """How every trial is trained."""

    epochs: Count
    batch_size: Size
    optimizer: Optimizer = Optimizer()
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    time_limit_seconds: float = Field(default=3600.0, gt=0, description="of one trial")
    task: Annotated[Task, BeforeValidator(named, json_schema_input_type=str | Task)] = added(
        3, Task(), description="what is learned: classification, binary, regression or module:attribute"
    )
    augmentation: Augmentation = added(3, Augmentation())
    schedule: Annotated[
        LearningRateSchedule, BeforeValidator(named, json_schema_input_type=str | LearningRateSchedule)
    ] = added(3, LearningRateSchedule(), description="of the learning rate")
    precision: Literal["float32", "tf32", "bf16"] = added(
        3, "float32", description="of training steps; scores are taken in float32"
    )
    gradient_clip: float | None = added(
        3, None, gt=0, description="largest norm of the gradient of all parameters together"
    )
    compile: bool = added(
        3, False, description="have torch compile a network once its structure has stood for an epoch"
    )
    resize: Size | None = added(
        3, None, description="bring images to so many pixels a side, batch by batch; in evaluation too"
    )
    # It changes nothing of a training, and is part of a trial's identity all the same: a record without
    # latencies is no answer to a study that asks for them.
    measure_speed: bool = added(
        3, False, description="time each trial's selected network, for 1 and for 256 examples at once"
    )
