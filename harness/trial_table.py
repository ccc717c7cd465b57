"""The trial table: one row a trial. With `harness.design`, all that `harness` and `reports` share.

This module imports neither package. `harness` writes tables with these columns; `reports` judges any
table that has the required ones, whoever made it.
"""

from dataclasses import dataclass
from typing import Literal

#: 2: `val_score` and `test_score`, with what they are beside them, in place of `val_accuracy`,
#: `test_accuracy`.
SCHEMA_VERSION = 2

#: Statuses that are outcomes of a trial: they stay in the table and are counted. `lost` is not one: the
#: trial's worker died, the trial runs again.
OUTCOMES = ("ok", "diverged", "collapsed", "out_of_memory", "timed_out", "stopped", "crashed")

#: Outcomes that are failures of the method. A trial that was `stopped` (by a pruner, or by hand) is none: it
#: has the score and the cost that it had when it was stopped.
FAILURES = ("diverged", "collapsed", "out_of_memory", "timed_out", "crashed")

#: How an arm's points were chosen: independent draws from one space; a design (grid, quasi-random); a search
#: in which later points depend on earlier results; or draws of which some were stopped for what others had
#: reached ("pruned"). Only the first are independent of each other.
SAMPLINGS = ("iid", "design", "adaptive", "pruned")
#: Samplings in which trials depend on each other within their search: only whole searches can be compared.
SEARCHED = ("adaptive", "pruned")


#: Examples at once that selected networks are timed with, where a study asks for it.
TIMED_BATCH_SIZES = (1, 256)

Kind = Literal["text", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, the kind of its values, whether a table must have it, its meaning."""

    name: str
    kind: Kind
    required: bool
    meaning: str


COLUMNS = (
    Column("dataset", "text", True, "name of the data set"),
    Column("architecture", "text", True, "label of the network family; with the data set it makes the cell"),
    Column("method", "text", True, "label of the sizing method; with the cell it makes the arm"),
    Column("val_score", "number", True, "validation score at the selected epoch; empty if none"),
    Column("test_score", "number", True, "test score at the selected epoch; empty if none"),
    Column("score", "text", False, "name of the score; one that ends in accuracy is a share from 0 to 1"),
    Column("score_direction", "text", False, "higher or lower: which is better"),
    Column("failed_score", "number", False, "what a failed trial counts as"),
    Column("study", "text", False, "name of the study"),
    Column("trial_id", "text", False, "hash of what defines the trial; unique in the table"),
    Column("index", "integer", False, "position of the trial in its arm's order of drawing, from 0"),
    Column("status", "text", False, f"one of {', '.join(OUTCOMES)}"),
    Column("sampling", "text", False, f"one of {', '.join(SAMPLINGS)}"),
    Column("sampler", "text", False, "the sampler with its options"),
    Column("replicate", "integer", False, "number of the whole search this trial belongs to, from 0"),
    Column(
        "repeat",
        "integer",
        False,
        "0, or more where a point is trained again under other seeds; only 0 is judged; 1 and 2 share their "
        "initialisation, so do 3 and 4, and so on",
    ),
    Column(
        "pair_id", "text", False, "same in two arms: the trials share draws and seeds, so they are paired"
    ),
    Column("origin_trial_id", "text", False, "the trial that this one begins from; empty if from none"),
    Column(
        "origin_train_flops",
        "number",
        False,
        "train_flops of the trial it begins from, and of all that this one began from; empty if from none",
    ),
    Column("origin_train_seconds", "number", False, "train_seconds of the same trials"),
    Column("total_train_flops", "number", False, "train_flops of the trial and of all that it begins from"),
    Column(
        "total_train_seconds", "number", False, "train_seconds of the trial and of all that it begins from"
    ),
    Column("attempt", "integer", False, "1, or more where earlier attempts were lost with their worker"),
    Column("split_seed", "integer", False, "seed of the validation split"),
    Column("epochs_planned", "integer", False, "epochs asked for"),
    Column("epochs_run", "integer", False, "epochs really trained"),
    Column("selected_epoch", "integer", False, "epoch of the best validation score, from 1; empty if none"),
    Column(
        "size_settled", "text", False, "yes or no: whether the size had converged; empty if too short to say"
    ),
    Column("parameters", "integer", False, "parameters of the selected network, gates folded in"),
    Column("nonzeros", "integer", False, "parameters of the selected network that are not zero"),
    Column("macs", "integer", False, "multiply-accumulates of the selected network for one example"),
    Column(
        "layer_weights",
        "text",
        False,
        "JSON object, where single weights were deleted: of each layer's weight [entries at the start, of "
        "the selected network those that are not zero, their largest size, their histogram up to it]",
    ),
    Column(
        "components", "integer", False, "groups of units that no weight joins, where weights were deleted"
    ),
    Column("cut_2", "number", False, "share of the weights between units that cross two halves of the units"),
    Column(
        "cut_4", "number", False, "share of the weights between units that cross four quarters of the units"
    ),
    Column("start_parameters", "integer", False, "parameters of the network before its first step"),
    Column("units", "text", False, "JSON object: units of each sized layer of the selected network"),
    Column("train_flops", "number", False, "floating-point operations of training, from the live widths"),
    Column("wait_seconds", "number", False, "from the start of the bundle to the start of the trial"),
    Column("warm_up_seconds", "number", False, "loading data and building the network"),
    Column("train_seconds", "number", False, "training steps and edits"),
    Column("evaluation_seconds", "number", False, "validation and test scoring"),
    Column("device", "text", False, "device the trial ran on, with its model name"),
    Column("device_share", "number", False, "share of the device (or CPU cores) the trial was given"),
    Column("peak_memory_bytes", "number", False, "of the GPU's allocator, or of the whole process"),
    *(
        column
        for batch_size in TIMED_BATCH_SIZES
        for column in (
            Column(
                f"latency_ms_{batch_size}",
                "number",
                False,
                f"milliseconds of a forward pass of {batch_size} example(s), where measured",
            ),
            Column(f"throughput_{batch_size}", "number", False, "examples a second of the same"),
        )
    ),
    Column("joules", "number", False, "energy of the trial, where measured"),
    Column("n_val", "integer", False, "examples behind the validation score"),
    Column("n_test", "integer", False, "examples behind the test score"),
    Column("message", "text", False, "what went wrong, for a trial that is not ok"),
    Column("table_version", "integer", False, "version of these columns; a table without one is anyone's"),
)
#: The two columns that hold scores, validation first.
SCORE_COLUMNS = ("val_score", "test_score")
#: What they are called in tables of version 1, which hold accuracies alone.
ACCURACY_COLUMNS = ("val_accuracy", "test_accuracy")
#: Further columns are allowed: `param_NAME` (a searched value) is known to the report.
PARAMETER_PREFIX = "param_"
