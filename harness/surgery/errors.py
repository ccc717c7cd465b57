"""What surgery says when it cannot do what it was asked."""


class SurgeryError(ValueError):
    """An edit, a network or an optimizer that surgery cannot work on; the network is left as it was."""
