"""Reads the program that a pickle is, without running it: is it one that only makes tensors?

Each opcode is followed on a stack of descriptions. Only the opcodes and the names that
``torch.save`` needs for a state dict (and the plain numbers and lists beside it) pass.
"""

from __future__ import annotations

import pickletools
from typing import IO
from typing import NamedTuple

MOST_OPERATIONS = 1_000_000
"""In all; a tensor takes about 30."""
DEEPEST_TUPLE = 16
"""Printing tuples that hold one another twice takes a time that doubles with each level."""

ITEM_BYTES = {
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
}
_CALLED = frozenset(
    {
        "collections.Counter",
        "collections.OrderedDict",
        "torch.Size",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
    }
)
_CONSTANTS = frozenset(
    {"BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
    | {"NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
)
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FILLS = {"APPEND": 1, "SETITEM": 2, "APPENDS": None, "SETITEMS": None}
"""How many items go into the container below them; None is all after the mark."""


class Stored(NamedTuple):
    """A storage that the pickle refers to."""

    key: str
    size_bytes: int


class _Item(NamedTuple):
    """What is known of one value on the stack."""

    value: object = None
    """A constant, or a tuple of items."""
    name: str = ""
    """Of a global, or of the global whose call made this."""
    made: bool = False
    """Whether it came from that call."""
    depth: int = 0
    """Levels of tuples inside."""


class _Walk:
    def __init__(self) -> None:
        self.stacks: list[list[_Item]] = [[]]
        self.memo: dict[int, _Item] = {}
        self.stored: dict[str, Stored] = {}

    def step(self, name: str, arg: object) -> None:
        """Follow one opcode.

        Raises:
            ValueError: if a state dict has no use for it.
        """
        stack = self.stacks[-1]
        if name in _CONSTANTS:
            stack.append(_Item(arg))
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[_whole(arg)])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[_whole(arg)] = stack[-1]
        elif name == "MARK":
            self.stacks.append([])
        elif name in _TUPLES or name == "TUPLE":
            count = _TUPLES.get(name)
            self._tuple(self._pop(count))
        elif name in _FILLS:
            self._fill(self._pop(_FILLS[name]), keyed=name.startswith("SET"))
        elif name == "GLOBAL":
            stack.append(_Item(name=_known(str(arg).replace(" ", "."))))
        elif name == "REDUCE":
            self._call()
        elif name == "BUILD":
            self._pop(1)
            if not (stack[-1].made and stack[-1].name == "collections.OrderedDict"):
                raise ValueError("it sets attributes of an object")
        elif name == "BINPERSID":
            self._refer()
        elif name != "PROTO":
            raise ValueError(f"it has the operation {name}")

    def _pop(self, count: int | None) -> list[_Item]:
        if count is None:
            items = self.stacks.pop()
            if not self.stacks:
                raise IndexError
            return items
        stack = self.stacks[-1]
        return [stack.pop() for _ in range(count)][::-1]

    def _tuple(self, items: list[_Item]) -> None:
        depth = 1 + max((item.depth for item in items), default=0)
        if depth > DEEPEST_TUPLE:
            raise ValueError("it nests tuples too deeply")
        self.stacks[-1].append(_Item(tuple(items), depth=depth))

    def _fill(self, items: list[_Item], *, keyed: bool) -> None:
        """Keys are words and small numbers: others can be made to collide, or be slow to hash."""
        for key in items[::2] if keyed else ():
            small = type(key.value) is int and abs(key.value) < 2**32
            if not (small or isinstance(key.value, str)):
                raise ValueError("it has a dict key that is neither a string nor a small number")

    def _call(self) -> None:
        function, arguments = self._pop(2)
        if function.made or function.name not in _CALLED:
            raise ValueError(f"it calls {function.name or 'something that is no function'}")
        if function.name == "collections.OrderedDict" and arguments.value != ():
            raise ValueError("it makes a dict of what is no dict")
        self.stacks[-1].append(_Item(name=function.name, made=True, depth=arguments.depth))

    def _refer(self) -> None:
        (reference,) = self._pop(1)
        parts = reference.value if isinstance(reference.value, tuple) else ()
        if len(parts) not in (5, 6) or parts[0].value not in ("storage", b"storage"):
            raise ValueError("it refers to something that is no tensor")
        kind, key, count = parts[1], parts[2].value, parts[4].value
        if kind.made or kind.name not in ITEM_BYTES or type(count) is not int or count < 0:
            raise ValueError("it refers to a tensor of no known type or size")
        stored = Stored(str(key), count * ITEM_BYTES[kind.name])
        if self.stored.setdefault(stored.key, stored) != stored:
            raise ValueError(f"it refers to the tensor {stored.key!r} in two ways")
        self.stacks[-1].append(_Item())


def storages(stream: IO[bytes], pickles: int = 1) -> list[Stored]:
    """The storages that the next `pickles` pickles in `stream` refer to, each once.

    Raises:
        ValueError: if one is damaged, or does more than make tensors, numbers, lists and dicts.
    """
    found: dict[str, Stored] = {}
    operations = 0
    for _ in range(pickles):
        walk = _Walk()
        try:
            for opcode, arg, _ in pickletools.genops(stream):
                operations += 1
                if operations > MOST_OPERATIONS:
                    raise ValueError(f"it has more than {MOST_OPERATIONS} operations")
                if opcode.name != "STOP":
                    walk.step(opcode.name, arg)
        except (IndexError, KeyError, TypeError, UnicodeError, OverflowError) as error:
            raise ValueError("it is damaged") from error
        found |= walk.stored
    return list(found.values())


def _known(name: str) -> str:
    if name not in _CALLED and name not in ITEM_BYTES:
        raise ValueError(f"it asks for {name[:80]}")
    return name


def _whole(arg: object) -> int:
    if not isinstance(arg, int):
        raise TypeError
    return arg
