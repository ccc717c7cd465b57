"""How weights start, where a family lets the study choose."""

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

#: "pytorch": each layer's own default. "xavier-normal": normal with gain sqrt(2), as the code behind the
#: ShrinkNets paper's figures starts its weights (github mitdbg/fastdeepnets). "he-normal": normal with
#: variance 2 / fan-in (He et al. 2015, arXiv 1502.01852, equation 10). Biases stay as they are.
Initialisation = Literal["pytorch", "xavier-normal", "he-normal"]


def initialise(network: "nn.Module", initialisation: Initialisation) -> None:
    """Set the weights of all linear and convolutional layers, in place, from torch's global generator."""
    from torch import nn

    if initialisation == "pytorch":
        return
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            if initialisation == "xavier-normal":
                nn.init.xavier_normal_(module.weight, gain=math.sqrt(2))
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
