"""Reads the pickles of weight files by a small interpreter of their language, which calls nothing.

Python's own `pickle` reserves what an opcode announces before it looks at it: 139 bytes can ask for
gigabytes. Here each opcode costs at most what it takes in the file, and what calls make of values
that were made before (a list copied a million times) is counted.
"""

import codecs
import pickletools
from typing import Any, BinaryIO, Callable, Dict, List, Mapping, NamedTuple, Tuple

from tfmaskrcnn.errors import quoted

# A state dict of a thousand tensors has some 50,000; more would take long to walk through.
_MAX_OPCODES = 1_000_000
_MARK = object()
_BY_CODE = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
# Opcodes that push what stands behind them in the file, or nothing but themselves.
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": list}
_NUMBERED_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_LONGEST_INTEGER = 64  # bytes; the longest in weight files is PyTorch's first number, of 10
_LARGEST_KEY = 1 << 63  # of a dictionary: Python hashes long numbers anew each time


class ForbiddenName(Exception):
    """A pickle names something outside the list; the message is its name."""


class Budget:
    """How many bytes (or elements) may still be made of values that are there already."""

    def __init__(self, size: int):
        """A budget of `size`."""
        self.left = size

    def spend(self, size: int) -> None:
        """Take `size` off; raises ValueError when nothing is left."""
        self.left -= size + 1
        if self.left < 0:
            raise ValueError("it would unpack into far more than the file holds")


class Rules(NamedTuple):
    """What a kind of pickles may name, and what is made of it."""

    named: Callable[[str, str], Any]  # (module, name) -> what a name stands for, or ForbiddenName
    call: Callable[[Any, Tuple], Any]  # (what a name stands for, arguments) -> value
    build: Callable[[Any, Any], None]  # (value, state): give the value its state
    persistent: Callable[[Any], Any]  # (identifier) -> what it refers to outside of the pickle


def read_pickle(stream: BinaryIO, rules: Rules) -> Any:
    """The value of the pickle that begins where `stream` is; `stream` is left behind its end.

    Lists, tuples, dictionaries, numbers and texts are made as they are; sets become lists. Keys of
    dictionaries that are neither texts nor plain numbers are replaced by an object of their own.

    Args:
        stream: of bytes in memory, or mapped into it: it may not reserve what `read` is asked for.
        rules: see there.

    Raises:
        ForbiddenName: as `rules.named` does.
        Exception: the pickle is damaged, or too long.
    """
    return _Machine(rules).run(stream)


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, rules: Rules):
        self._rules = rules
        self._stack: List[Any] = []
        self._memo: Dict[int, Any] = {}

    def run(self, stream: BinaryIO) -> Any:
        for _ in range(_MAX_OPCODES):
            opcode = _BY_CODE.get(stream.read(1))
            if opcode is None:
                raise ValueError("a byte that is no part of a pickle")
            if opcode.name == "STOP":
                return self._pop()
            argument = None if opcode.arg is None else _argument(opcode, stream)
            self._step(opcode.name, argument)
        raise ValueError(f"a pickle of more than {_MAX_OPCODES} steps")

    def _step(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _NEW:
            self._stack.append(_NEW[name]())
        elif name in _NUMBERED_TUPLES:
            self._stack.append(tuple(self._pop_several(_NUMBERED_TUPLES[name])))
        elif name in _PUSHED:
            self._stack.append(argument)
        else:
            handler = _HANDLERS.get(name)
            if handler is None:
                raise ValueError(f"the opcode {name}, which weights do not need")
            handler(self, argument)

    def _pop(self) -> Any:
        if not self._stack:
            raise ValueError("a pickle that takes more than it has")
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a pickle with a misplaced mark")
        return value

    def _pop_several(self, count: int) -> List[Any]:
        return [self._pop() for _ in range(count)][::-1]

    def _pop_mark(self) -> List[Any]:
        items = []
        while self._stack:
            value = self._stack.pop()
            if value is _MARK:
                return items[::-1]
            items.append(value)
        raise ValueError("a pickle without a mark")

    def _top(self, kind) -> Any:
        if not self._stack or not isinstance(self._stack[-1], kind):
            raise ValueError("a pickle that adds to what takes nothing")
        return self._stack[-1]

    def mark(self, _) -> None:
        self._stack.append(_MARK)

    def pop(self, _) -> None:
        if not self._stack:
            raise ValueError("a pickle that takes more than it has")
        self._stack.pop()

    def duplicate(self, _) -> None:
        value = self._pop()
        self._stack += [value, value]

    def pop_mark(self, _) -> None:
        self._pop_mark()

    def put(self, index: int) -> None:
        self._memo[index] = self._top(object)

    def memoize(self, _) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    def sequence(self, kind) -> None:
        self._stack.append(kind(self._pop_mark()))

    def append(self, _) -> None:
        value = self._pop()
        self._top(list).append(value)

    def extend(self, _) -> None:
        values = self._pop_mark()
        self._top(list).extend(values)

    def dictionary(self, _) -> None:
        values = self._pop_mark()
        self._stack.append({})
        self._set(values)

    def set_item(self, _) -> None:
        self._set(self._pop_several(2))

    def set_items(self, _) -> None:
        self._set(self._pop_mark())

    def _set(self, values: List[Any]) -> None:
        if len(values) % 2:
            raise ValueError("a pickle with a key that has no value")
        self._top(dict).update(zip(map(as_key, values[::2]), values[1::2]))

    def name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(self._rules.named(module, name))

    def name_on_stack(self, _) -> None:
        module, name = self._pop_several(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name that is no text")
        self._stack.append(self._rules.named(module, name))

    def call(self, _) -> None:
        what, arguments = self._pop_several(2)
        if not isinstance(arguments, tuple):
            raise ValueError("a call without arguments")
        self._stack.append(self._rules.call(what, arguments))

    def call_with_names(self, _) -> None:
        self._pop()  # arguments by name, of which no weights have any
        self.call(_)

    def build(self, _) -> None:
        state = self._pop()
        self._rules.build(self._top(object), state)

    def persistent(self, _) -> None:
        self._stack.append(self._rules.persistent(self._pop()))

    def nothing(self, _) -> None:
        pass


def as_key(value: Any) -> Any:
    """`value` as the key of a dictionary: texts and plain numbers; for others a new object."""
    plain = value is None or isinstance(value, (str, bytes))
    plain = plain or isinstance(value, float) and value == value  # all NaNs may hash alike
    number = isinstance(value, int) and -_LARGEST_KEY <= value < _LARGEST_KEY
    return value if plain or number else object()


def _argument(opcode, stream: BinaryIO) -> Any:
    """What stands behind an opcode in the file."""
    if opcode.name == "STRING":  # of Python 2, where it holds bytes
        line = pickletools.read_stringnl(stream, decode=False)
        return codecs.escape_decode(line)[0].decode("latin-1")
    value = opcode.arg.reader(stream)
    if isinstance(value, int) and abs(value).bit_length() > 8 * _LONGEST_INTEGER:
        raise ValueError(f"an integer of {abs(value).bit_length()} bits")
    return value


_PUSHED = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
_HANDLERS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "LIST": lambda machine, _: machine.sequence(list),
    "TUPLE": lambda machine, _: machine.sequence(tuple),
    "FROZENSET": lambda machine, _: machine.sequence(list),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "ADDITEMS": _Machine.extend,
    "DICT": _Machine.dictionary,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "NEWOBJ_EX": _Machine.call_with_names,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "PERSID": lambda machine, text: machine._stack.append(machine._rules.persistent(text)),
    "PROTO": _Machine.nothing,
    "FRAME": _Machine.nothing,
}


def forbidden(module: str, name: str) -> ForbiddenName:
    """The exception for a name outside the list, with its name as a message may show it."""
    return ForbiddenName(quoted(f"{module}.{name}", 100).strip("'\""))
