"""How much a study may ask for. What asks for more is a slip or an attack, and is refused at once."""

#: Trials of a whole study; epochs of one trial. Planning draws every trial, at some tenths of a millisecond.
MOST_TRIALS = 200_000
