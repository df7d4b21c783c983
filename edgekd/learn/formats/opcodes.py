"""Reads the program that a pickle is, without running it: is it one that only makes tensors?

Each opcode is followed on a stack of descriptions. Only the opcodes and the names that
``torch.save`` needs for a state dict (and the plain numbers and lists beside it) pass. Training scripts keep more beside
the weights, such as their arguments: objects of the types in `READ_OVER` pass too, and are never built.
"""

from __future__ import annotations

import itertools
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
READ_OVER = frozenset(
    {"argparse.Namespace", "types.SimpleNamespace", "datetime.datetime", "datetime.timedelta"}
    | {"pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath"}
    | {"pathlib._local.WindowsPath", "torch.torch_version.TorchVersion", "typing.Any"}
    | {f"{builtins}.{name}" for builtins in ("builtins", "__builtin__")
       for name in ("list", "dict", "int", "float", "str", "bool", "tuple", "object")}
    | {f"numpy.{name}" for name in ("dtype", "ndarray", "float64", "float32", "int64", "int32")}
    | {f"{core}.multiarray.{name}" for core in ("numpy.core", "numpy._core")
       for name in ("scalar", "_reconstruct")}
    | {"omegaconf.listconfig.ListConfig", "omegaconf.dictconfig.DictConfig"}
    | {"omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata", "omegaconf.nodes.AnyNode"}
)  # fmt: skip
"""Types of what lies beside the weights. What a file asks of them is followed, not done."""
READ_OVER_DICTS = frozenset(
    {"collections.defaultdict", "easydict.EasyDict", "yacs.config.CfgNode", "addict.addict.Dict"}
    | {"lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict"}
    | {"pytorch_lightning.utilities.parsing.AttributeDict", "munch.Munch"}
)  # fmt: skip
"""The same, of those that are filled like a dict."""
_FILLED = READ_OVER_DICTS - {"collections.defaultdict"}
"""Those that are made empty, whatever they are called with."""
_DTYPES = frozenset(
    f"torch.{name}"
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int8", "uint8")
)
_BESIDE = READ_OVER | READ_OVER_DICTS | {"_codecs.encode", "torch.device"}
_CONSTANTS = frozenset(
    {"BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
    | {"NONE", "NEWTRUE", "NEWFALSE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
)
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FILLS = {"APPEND": 1, "SETITEM": 2, "APPENDS": None, "SETITEMS": None}
"""How many items go into the container below them; None is all after the mark."""


class StorageEntry(NamedTuple):
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
        self.stored: dict[str, StorageEntry] = {}

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
            self._call(_CALLED | _BESIDE - _FILLED)
        elif name == "NEWOBJ":
            self._call(READ_OVER | _FILLED)
        elif name == "BUILD":
            self._pop(1)
            if not (stack[-1].made and stack[-1].name in {"collections.OrderedDict", *_BESIDE}):
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

    def _call(self, callable_names: frozenset[str]) -> None:
        function, arguments = self._pop(2)
        if function.made or function.name not in callable_names:
            raise ValueError(f"it calls {function.name or 'something that is no function'}")
        if function.name == "collections.OrderedDict" and arguments.value != ():
            raise ValueError("it makes a dict of what is no dict")
        if function.name == "_codecs.encode" and not _is_bytes(arguments.value):
            raise ValueError("it encodes something else than bytes")
        self.stacks[-1].append(_Item(name=function.name, made=True, depth=arguments.depth))

    def _refer(self) -> None:
        (reference,) = self._pop(1)
        parts = reference.value if isinstance(reference.value, tuple) else ()
        if len(parts) not in (5, 6) or parts[0].value not in ("storage", b"storage"):
            raise ValueError("it refers to something that is no tensor")
        kind, key, count = parts[1], parts[2].value, parts[4].value
        if kind.made or kind.name not in ITEM_BYTES or type(count) is not int or count < 0:
            raise ValueError("it refers to a tensor of no known type or size")
        stored = StorageEntry(str(key), count * ITEM_BYTES[kind.name])
        if self.stored.setdefault(stored.key, stored) != stored:
            raise ValueError(f"it refers to the tensor {stored.key!r} in two ways")
        self.stacks[-1].append(_Item())


def read_storages(stream: IO[bytes], pickles: int = 1) -> list[StorageEntry]:
    """Return the storages that the next `pickles` pickles in `stream` refer to, each once.

    Raises:
        ValueError: if one is damaged, or does more than make tensors, numbers, lists and dicts.
    """
    found: dict[str, StorageEntry] = {}
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


def asks_for_modules(stream: IO[bytes], pickles: int = 1) -> bool:
    """Return whether one of the next `pickles` pickles names a class of torch's layers: it holds a whole model."""
    try:
        for _ in range(pickles):
            for opcode, arg, _ in itertools.islice(pickletools.genops(stream), MOST_OPERATIONS):
                if opcode.name == "GLOBAL" and str(arg).startswith("torch.nn.modules."):
                    return True
    except ValueError:  # it is damaged
        return False
    return False


def _known(name: str) -> str:
    if name not in {*_CALLED, *_BESIDE, *_DTYPES, *ITEM_BYTES}:
        raise ValueError(f"it asks for {name[:80]}")
    return name


def _is_bytes(arguments: object) -> bool:
    """Return whether these are the arguments by which protocol 2 writes bytes: text, and its encoding."""
    if not isinstance(arguments, tuple) or len(arguments) != 2:
        return False
    text, encoding = (item.value for item in arguments)
    return isinstance(text, str) and encoding == "latin1"


def _whole(arg: object) -> int:
    if not isinstance(arg, int):
        raise TypeError
    return arg
