"""How much a study may ask for. What asks for more is a slip or an attack, and is refused at once."""

#: Of a study file.
MOST_BYTES = 1_000_000
#: Values and names of fields in a study file, what its aliases repeat counted each time.
MOST_VALUES = 10_000
#: Lists and fields inside one another.
MOST_LEVELS = 40
#: Whole numbers are at most so large, either way: 64 bits hold them.
LARGEST = 2**63 - 1
#: Trials of a whole study; epochs of one trial. Planning draws every trial, at some tenths of a millisecond.
MOST_TRIALS = 200_000
#: Units of a layer, pixels a side, examples in a batch.
MOST_UNITS = 100_000_000
