"""Valid ONNX and IR files with one to three structural changes, through `edgekd bench`'s own path.

    python benchmarks/hostile/models.py --count 500

A change is made to the parsed message, so that most files are still ONNX: a field said twice or in
pieces, a number made huge or negative, a name or a path put in place of another, a node that reads what
comes after it, functions, external data, sparse weights. Each file is built and run by ONNX Runtime and
OpenVINO in turn.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import numpy as np
import onnx
from harness import Canaries
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd.bench import session
from edgekd.bench import user_models
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.errors import InputError
from edgekd.errors import MachineError

TIMEOUT_S = 10.0
RUNTIMES = ("onnxruntime", "openvino")
NUMBERS = (0, 1, 2, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**63))
RULES = session.Rules(
    processes_min=1,
    processes_max=1,
    timeout_s=TIMEOUT_S,
    warm_up=WarmUp(window_ns=1_000_000, max_ns=5_000_000),
    steady=Steady(min_ns=1_000_000, max_ns=2_000_000),
)


def texts(canaries: Canaries) -> list[str]:
    """What is put where a name or a place stands."""
    out = str(canaries.folder)
    places = [str(canaries.weights), f"{out}/../outside/weights.bin", "../../outside/weights.bin"]
    odd = ["", ".", "..", "x", "a\x1b[2Jb", "*/_ORT_MEM_ADDR_/*", "/proc/self/mem", "/dev/zero"]
    return [*places, *odd, f"python:os:system('touch {canaries.marker}')", "EPContext", "evil.ops"]


def seed_model(*, plain: bool = False) -> onnx.ModelProto:
    """A net with a convolution, Q/DQ, a constant, and unless `plain` a branch and a function, which
    OpenVINO cannot take."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((4, 3, 1, 1)).astype(np.float32),
        "v": rng.standard_normal((4, 5)).astype(np.float32),
        "scale": np.array(0.1, np.float32),
        "zero": np.array(0, np.uint8),
    }
    values = [helper.make_tensor_value_info(n, 1, None) for n in ("one", "two")]
    branches = [
        helper.make_graph([helper.make_node(op, ["m"], [name])], "b", [], [value])
        for op, name, value in zip(("Relu", "Neg"), ("one", "two"), values, strict=True)
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["h"]),
        helper.make_node("QuantizeLinear", ["h", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["m"]),
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True))),
        helper.make_node("If", ["c"], ["i"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("F", ["i"], ["y"], domain="mine"),
    ]
    if plain:
        nodes[-2:] = [helper.make_node("Relu", ["m"], ["y"])]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    body = [helper.make_node("Relu", ["a"], ["r"]), helper.make_node("Add", ["r", "a"], ["b"])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", 1, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", 1, ["N", 5])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_function("mine", "F", ["a"], ["b"], body, opsets[:1])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=[made])


def messages(message: Any) -> list[Any]:
    """A message and all in it."""
    found = [message]
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                found += messages(one)
    return found


def change(model: onnx.ModelProto, draw: random.Random, canaries: Canaries) -> None:
    """One structural change, in place."""
    at = draw.choice(messages(model))
    field = draw.choice(at.DESCRIPTOR.fields)
    if field.message_type is not None:
        held = getattr(at, field.name)
        others = [m for m in messages(model) if m.DESCRIPTOR.name == field.message_type.name]
        if not field.is_repeated:
            source = type(held)()  # a copy: a message must not be merged with one around it
            if others:
                source.CopyFrom(draw.choice(others))
            (held.MergeFrom if draw.random() < 0.5 else held.CopyFrom)(source)
        elif held and draw.random() < 0.4:
            held.insert(draw.randrange(len(held) + 1), held.pop(draw.randrange(len(held))))
        elif held and draw.random() < 0.4:
            del held[draw.randrange(len(held))]
        else:
            copy = type(model)() if not others else type(others[0])()
            if others:
                copy.CopyFrom(draw.choice(others))
                held.append(copy)
            else:
                held.add()
        return
    value = _value(field, draw, canaries)
    if not field.is_repeated:
        setattr(at, field.name, value)
        return
    held = getattr(at, field.name)
    if held and draw.random() < 0.7:
        held[draw.randrange(len(held))] = value
    else:
        held.extend([value] * draw.choice((1, 2, 70)))


def _value(field: Any, draw: random.Random, canaries: Canaries) -> Any:
    if field.cpp_type == field.CPPTYPE_STRING:
        text = draw.choice([*texts(canaries), "x", "y", "h", "i", "m", "F", "mine", "Relu", "If"])
        return text.encode() if field.type == field.TYPE_BYTES else text
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw.choice((0.0, -1.0, float("nan"), float("inf"), 1e30))
    if field.enum_type is not None:
        return draw.choice([value.number for value in field.enum_type.values])
    low, high = {
        field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        field.CPPTYPE_UINT64: (0, 2**64 - 1),
    }.get(field.cpp_type, (-(2**63), 2**63 - 1))
    return max(low, min(high, draw.choice(NUMBERS)))


def external(model: onnx.ModelProto, draw: random.Random, canaries: Canaries) -> None:
    """A weight that is said to lie elsewhere."""
    tensors = [m for m in messages(model) if isinstance(m, TensorProto)]
    if tensors:
        tensor = draw.choice(tensors)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=draw.choice(texts(canaries)))
        tensor.external_data.add(key="offset", value=str(draw.choice(NUMBERS)))
        tensor.external_data.add(key="length", value=str(draw.choice(NUMBERS)))


def in_pieces(model: onnx.ModelProto, draw: random.Random, canaries: Canaries) -> bytes:
    """The model as two messages that a parser merges."""
    first, second = onnx.ModelProto(), onnx.ModelProto()
    first.CopyFrom(model)
    second.graph.SetInParent()
    for node in list(first.graph.node):
        if draw.random() < 0.5:
            second.graph.node.add().CopyFrom(node)
            first.graph.node.remove(node)
    return first.SerializeToString() + second.SerializeToString()


def measured(path: Path, runtime: str, folder: Path) -> None:
    """What `edgekd bench PATH` does, in its order, with one short process.

    Raises:
        EdgekdError: as the command.
    """
    ask = user_models.MeasureRequest((runtime,), (), (1,), 1, TIMEOUT_S)
    scratch = folder / "scratch"
    scratch.mkdir()
    subjects = [ready.subject for ready in user_models.prepare_subjects([path], ask, scratch)]
    for found in session.measure_subjects(subjects, RULES):
        if found.failure:
            raise (InputError if found.refused else MachineError)(found.failure)


def onnx_case(number: int, folder: Path, canaries: Canaries) -> None:
    """The case of `number`."""
    draw = random.Random(number)
    runtime = RUNTIMES[number % 2]
    model = seed_model(plain=runtime == "openvino")
    for _ in range(draw.choice((1, 1, 2, 3))):
        (external if draw.random() < 0.15 else change)(model, draw, canaries)
    split = in_pieces if draw.random() < 0.2 else None
    data = split(model, draw, canaries) if split else model.SerializeToString()
    (folder / "m.onnx").write_bytes(data)
    measured(folder / "m.onnx", runtime, folder)


def _seed_ir(folder: Path) -> tuple[str, bytes]:
    import openvino

    model = openvino.Core().read_model(seed_model(plain=True).SerializeToString(), b"")
    openvino.save_model(model, str(folder / "seed.xml"), compress_to_fp16=False)
    return (folder / "seed.xml").read_text(), (folder / "seed.bin").read_bytes()


def ir_case(number: int, folder: Path, canaries: Canaries) -> None:
    """An IR with attributes, elements or weights changed."""
    draw = random.Random(number)
    if not IR:
        IR.extend(_seed_ir(folder))
    text, weights = str(IR[0]), bytes(IR[1])
    for _ in range(draw.choice((1, 1, 2, 3))):
        text = draw.choice(IR_CHANGES)(text, draw, canaries)
    if draw.random() < 0.2:
        weights = weights[: draw.randrange(len(weights) + 1)]
    (folder / "m.xml").write_text(text)
    (folder / "m.bin").write_bytes(weights)
    measured(folder / "m.xml", "openvino", folder)


IR: list[Any] = []


def _attribute(text: str, draw: random.Random, canaries: Canaries) -> str:
    places = [*re.finditer(r'(\w+)="([^"]*)"', text)]
    at = draw.choice(places)
    odd = [str(draw.choice(NUMBERS)), ",".join(str(draw.choice(NUMBERS)) for _ in range(4))]
    odd += [draw.choice(places).group(2), draw.choice(texts(canaries)).replace("\x1b", "")]
    odd += ["f64", "u1", "string", "dynamic", "opset99"]
    value = draw.choice(odd).replace('"', "").replace("&", "").replace("<", "")
    return f"{text[: at.start(2)]}{value}{text[at.end(2) :]}"


def _constant(text: str, draw: random.Random, canaries: Canaries) -> str:
    """The shape, type or size of a constant, the one thing that is checked against bytes."""
    places = [
        *re.finditer(r'(?<=<data )element_type="[^"]*" shape="[^"]*" offset="\d*" size="\d*"', text)
    ]
    at = draw.choice(places)
    name = draw.choice(("element_type", "shape", "offset", "size"))
    values = {"element_type": ("f64", "u1", "i4", "string", "boolean", "nf4", "f8e4m3")}
    sizes = [str(draw.choice(NUMBERS)) for _ in range(draw.choice((1, 2, 4, 9)))]
    new = draw.choice(values.get(name, (", ".join(sizes),)))
    return (
        text[: at.start()]
        + re.sub(f'{name}="[^"]*"', f'{name}="{new}"', at.group())
        + text[at.end() :]
    )


def _element(text: str, draw: random.Random, canaries: Canaries) -> str:
    """An element left out, said twice or put elsewhere."""
    places = [
        *re.finditer(r"<(layer|edge|port|dim|data|input|output)\b[^>]*/>|<dim>\d+</dim>", text)
    ]
    at, other = draw.choice(places), draw.choice(places)
    kind = draw.randrange(3)
    if kind == 0:
        return text[: at.start()] + text[at.end() :]
    if kind == 1:
        return text[: at.end()] + at.group() + text[at.end() :]
    return text[: at.start()] + other.group() + text[at.end() :]


def _edge(text: str, draw: random.Random, canaries: Canaries) -> str:
    """An edge that leads elsewhere, back perhaps."""
    at = draw.choice([*re.finditer(r'from-layer="(\d+)"', text)])
    return f"{text[: at.start(1)]}{draw.randrange(40)}{text[at.end(1) :]}"


IR_CHANGES: list[Callable[[str, random.Random, Canaries], str]] = [
    _attribute,
    _constant,
    _element,
    _edge,
]
ATTEMPTS = {"onnx": onnx_case, "ir": ir_case}
ENGINES = ("onnxruntime", "openvino")

if __name__ == "__main__":
    harness.main(ATTEMPTS, __doc__, Path(__file__), *ENGINES)
