"""What a user is told when a network cannot be extracted or loaded."""


class ExtractionError(ValueError):
    """A network cannot be taken out of a run or rebuilt; one sentence that says why and what to do."""
