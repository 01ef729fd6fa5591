"""Pickles that ask for more than they hold, and those that are none."""

import io
import pickle
import struct

import pytest

from helpers.memory import within
from tfmaskrcnn.checkpoints import pickle_reader
from tfmaskrcnn.checkpoints.pickle_reader import Budget, Rules, as_key, forbidden, read_pickle
from tfmaskrcnn.checkpoints.tensor_pickle import tensor_rules


def named(module, name):
    raise forbidden(module, name)


RULES = Rules(named, None, None, lambda identifier: ("outside", identifier))


def read(data):
    return read_pickle(io.BytesIO(data), RULES)


VALUES = [
    *(None, True, False, 0, -1, 255, 65536, 2**40, -(2**70), 0.5, "text", "\u00e9\ud800", b"\xff"),
    *([], [1, [2]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": {1: None}, 2.5: "b"}),
    *(list(range(3000)), {str(i): i for i in range(3000)}, bytearray(b"12"), "x" * 300, b"y" * 300),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_plain_values_are_those_of_pythons_own_reader(value, protocol):
    since = {bytes: 3, bytearray: 5}.get(type(value), 0)
    if protocol < since:
        return  # such protocols call functions for them
    found = read(pickle.dumps(value, protocol))
    assert found == value and type(found) is type(value)


def test_sets_become_lists_and_repeated_values_are_one():
    assert sorted(read(pickle.dumps({1, 2}, 4))) == sorted(read(pickle.dumps(frozenset([1, 2]), 4)))
    one = [1]
    first, second = read(pickle.dumps([one, one], 2))
    assert first is second


def test_several_pickles_follow_each_other_in_a_stream():
    stream = io.BytesIO(pickle.dumps(1, 2) + pickle.dumps("two", 4) + b"rest")
    assert [read_pickle(stream, RULES) for _ in range(2)] == [1, "two"]
    assert stream.read() == b"rest"


def test_python_2s_texts_are_read_as_bytes_of_latin_1():
    assert read(b"S'a\\xe9\\n'\n.") == "a\xe9\n"
    assert read(b"U\x02a\xe9.") == "a\xe9"


BIG = 1 << 33
ANNOUNCED = {  # opcodes that announce 8 GB and bring nothing
    "LONG_BINPUT": b"Nr" + struct.pack("<I", (1 << 32) - 1) + b".",
    "PUT": b"Np8589934592\n.",
    "FRAME": b"\x80\x04\x95" + struct.pack("<Q", BIG) + b"N.",
    "BINUNICODE": b"X" + struct.pack("<I", (1 << 32) - 1) + b"a.",
    "BINUNICODE8": b"\x8d" + struct.pack("<Q", BIG) + b"a.",
    "BINBYTES": b"B" + struct.pack("<I", (1 << 32) - 1) + b"a.",
    "BINBYTES8": b"\x8e" + struct.pack("<Q", BIG) + b"a.",
    "BYTEARRAY8": b"\x96" + struct.pack("<Q", BIG) + b"a.",
    "BINSTRING": b"T" + struct.pack("<i", (1 << 31) - 1) + b"a.",
    "LONG4": b"\x8b" + struct.pack("<i", (1 << 31) - 1) + b"a.",
    "LONG4 negative": b"\x8b" + struct.pack("<i", -1) + b"a.",
    "LONG of 400 digits": b"L" + b"9" * 400 + b"L\n.",
    "LONG of 5000 digits": b"L" + b"9" * 5000 + b"L\n.",
    "LONG4 of a megabyte": b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20) + b".",
}


@pytest.mark.parametrize("data", ANNOUNCED.values(), ids=ANNOUNCED)
def test_what_an_opcode_announces_is_not_reserved(data):
    with within(20):
        try:
            assert read(data) is None  # of a place in the memo, which costs nothing by its number
        except ValueError as error:
            assert "\n" not in str(error)


def doubled(depth, last):
    """Lists or tuples that hold the one before twice: 2 ** depth in all; then `last`."""
    return b"(lq\x00" + b"".join(b"h%ch%c\x86q%c" % (i, i, i + 1) for i in range(depth)) + last


def test_values_that_double_cost_what_they_have_in_the_file():
    with within(10):
        read(doubled(200, b"."))
        read(doubled(200, b"}h\xc8Ns."))  # as the key of a dictionary, which Python would hash
        read(b"]q\x00h\x00a" + b"h\x00a" * 200 + b".")  # and a list in itself


def test_keys_of_other_kinds_are_kept_apart():
    assert [as_key(key) for key in ("a", 1, 2.5, None, b"b")] == ["a", 1, 2.5, None, b"b"]
    assert as_key((1, 2)) != as_key((1, 2)) and as_key([1]) is not None
    assert as_key(1 << 80) != 1 << 80


def test_nesting_has_no_depth_limit_of_its_own():
    value = read(b"N" + b"\x85" * 100_000 + b".")
    for _ in range(100_000):
        (value,) = value
    assert value is None


def test_a_pickle_of_too_many_steps_is_refused(monkeypatch):
    monkeypatch.setattr(pickle_reader, "_MAX_OPCODES", 1000)
    read(b"N" + b"20" * 400 + b".")
    with pytest.raises(ValueError, match="more than 1000 steps"):
        read(b"N" + b"20" * 600 + b".")


BROKEN = rb""" . 0. (. t. (
 Na. NNa. ] h\x05. (NNu. }(Nu. \xff (R. 2. 1. NNNR. cnewline N\x93. NN\x93.
\x82\x01. \x97. s. (NNs. )N\x81. """


@pytest.mark.parametrize("data", [b"", *BROKEN.decode("unicode_escape").encode("latin-1").split()])
def test_broken_pickles_raise_and_nothing_else(data):
    with pytest.raises(Exception) as caught:
        read(data)
    assert not isinstance(caught.value, (MemoryError, RecursionError, SystemError))


def test_a_call_of_values_that_double_is_refused_at_once():
    rules, _ = tensor_rules(Budget(1000))
    with pytest.raises(ValueError, match="no function"):
        read_pickle(io.BytesIO(doubled(200, b")R.")), rules)


def test_a_budget_counts_what_is_made_of_values_that_are_there():
    rules, _ = tensor_rules(Budget(1000))
    text = b"X\x64\x00\x00\x00" + b"a" * 100 + b"q\x00"
    call = b"c_codecs\nencode\nh\x00N\x86R"
    assert read_pickle(io.BytesIO(text + call * 9 + b"."), rules) == b"a" * 100
    with pytest.raises(ValueError, match="unpack into far more"):
        read_pickle(io.BytesIO(text + call * 9 + b"."), rules)
