"""Which optimizers a study may name, and which options: those whose state surgery knows how to cut.

A table and not torch's own signatures, so that a study is checked without importing torch; a test holds the
two against each other. Learning rate and weight decay are not options: the study and the method set them.
"""

OPTIMIZERS: dict[str, tuple[str, ...]] = {
    "SGD": ("momentum", "dampening", "nesterov"),
    "Adam": ("betas", "eps", "amsgrad"),
    "AdamW": ("betas", "eps", "amsgrad"),
    "RMSprop": ("alpha", "eps", "momentum", "centered"),
    "Adagrad": ("lr_decay", "initial_accumulator_value", "eps"),
    "NAdam": ("betas", "eps", "momentum_decay", "decoupled_weight_decay"),
}
