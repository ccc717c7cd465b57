"""Sets of trials in many orders at once, as bits: a count of trials is a count of bits."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Words = NDArray[np.uint64]
BITS = 64


def no_bits(trials: int, orders: int) -> Words:
    """[orders, words] for sets of trials, all empty."""
    return np.zeros((orders, -(-trials // BITS)), dtype=np.uint64)


def bits_of(trials: Ints, words: int) -> Words:
    """[orders, words] with the bit of one trial each."""
    bits = np.zeros((len(trials), words), dtype=np.uint64)
    bits[np.arange(len(trials)), trials // BITS] = np.uint64(1) << (trials % BITS).astype(np.uint64)
    return bits


def lowest(bits: Words) -> Ints:
    """[rows], number of the lowest bit that is set in each row of words; there is one."""
    word = (bits != 0).argmax(axis=1)
    value = bits[np.arange(len(bits)), word]
    alone = value & (~value + np.uint64(1))
    number: Ints = word * BITS + np.bitwise_count(alone - np.uint64(1)).astype(np.intp)
    return number


def highest(bits: Words) -> Ints:
    """[rows], number of the highest bit that is set in each row of words; there is one."""
    words = bits.shape[1]
    word = words - 1 - (bits[:, ::-1] != 0).argmax(axis=1)
    value = bits[np.arange(len(bits)), word]
    for shift in (1, 2, 4, 8, 16, 32):
        value = value | (value >> np.uint64(shift))
    number: Ints = word * BITS + np.bitwise_count(value).astype(np.intp) - 1
    return number
