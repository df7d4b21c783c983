"""No file may run anything: each hostile one ends in one line, and the canary stays away."""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import random
import struct
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import weights

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.tensor([1.0, -1.0])}


class Touch:
    """A pickle of this runs ``touch CANARY`` in a reader that is not careful."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def saved(value: Any, *, old: bool = False) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=not old)
    return stream.getvalue()


def tensors(header: dict[str, Any] | bytes, body: bytes = b"") -> bytes:
    """A safetensors file put together by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def rezipped(data: bytes, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> bytes:
    """A zip file with each entry replaced by what `change` makes of it."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(data)) as old:
        warnings.simplefilter("ignore", UserWarning)
        with zipfile.ZipFile(stream, "w") as new:
            for name in old.namelist():
                for fresh, content in change(name, old.read(name)):
                    new.writestr(fresh, content)
    return stream.getvalue()


def with_pickle(program: bytes) -> bytes:
    """A zip file as torch writes it, with another pickle inside."""
    return rezipped(saved(STATE), lambda n, c: [(n, program if n.endswith("data.pkl") else c)])


def touch_program(canary: Path, protocol: int) -> bytes:
    return pickle.dumps({"w": Touch(canary)}, protocol)


def stack_global(canary: Path) -> bytes:
    """Names the function by strings on the stack, as protocol 4 may."""
    text = f"touch {canary}".encode()
    return (
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c"
        + bytes([len(text)]) + text + b"\x85R."
    )  # fmt: skip


def pickle_in_tensor(canary: Path) -> bytes:
    """A pickle that asks for ``pickle.loads`` of another."""
    inner = touch_program(canary, 0)
    return b"cpickle\nloads\nS" + repr(inner.decode()).encode() + b"\n\x85R."


def nested_tuples() -> bytes:
    """A dict key of 60 levels of tuples, each holding the one below twice: 2^60 to hash."""
    levels = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    return b"\x80\x02})" + levels + b"K\x01s."


def colliding_keys() -> bytes:
    """100,000 dict keys with one hash: multiples of 2^61 - 1."""
    numbers = (((2**61 - 1) * i).to_bytes(11, "little") for i in range(1, 100_000))
    return b"\x80\x02}(" + b"".join(b"\x8a\x0b" + n + b"N" for n in numbers) + b"u."


def expanded() -> bytes:
    """Four bytes that claim to be a terabyte by a stride of 0."""
    return saved({"w": torch.zeros(1).expand(2**38)})


def script() -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), stream)
    return stream.getvalue()


def bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**26)
    return stream.getvalue()


def changed_size(data: bytes) -> bytes:
    """The pickle says that the storage of six numbers has 16,384."""
    return rezipped(data, lambda n, c: [(n, c.replace(b"K\x06tq", b"M\x00\x40tq"))])


def flipped(data: bytes) -> bytes:
    """One byte of a tensor changed; the checksum no longer fits."""
    at = data.index(STATE["layer.weight"].numpy().tobytes())
    return data[:at] + b"\xff" + data[at + 1 :]


ZIP, OLD, SAFE = saved(STATE), saved(STATE, old=True), safetensors.torch.save(STATE)

HOSTILE: dict[str, tuple[str, Callable[[Path], bytes]]] = {
    **{
        f"pickle-{p}": (".pt", lambda canary, p=p: touch_program(canary, p))  # type: ignore[misc]
        for p in range(6)
    },
    **{
        f"zipped-pickle-{p}": (
            ".pth",
            lambda canary, p=p: with_pickle(touch_program(canary, p)),  # type: ignore[misc]
        )
        for p in range(6)
    },
    "saved-object": (".pt", lambda canary: saved({"w": Touch(canary)})),
    "saved-object-old": (".pt", lambda canary: saved({"w": Touch(canary)}, old=True)),
    "after-magic": (".pt", lambda canary: OLD[:15] + touch_program(canary, 2) * 4),
    "stack-global": (".pt", lambda canary: with_pickle(stack_global(canary))),
    "stack-global-bare": (".bin", stack_global),
    "pickle-in-pickle": (".pt", lambda canary: with_pickle(pickle_in_tensor(canary))),
    "second-pickle": (
        ".pt",
        lambda canary: rezipped(
            ZIP, lambda n, c: [(n, c), (n.replace("archive", "other"), touch_program(canary, 2))]
        ),
    ),
    "nested-tuples": (".pt", lambda _: with_pickle(nested_tuples())),
    "colliding-keys": (".pt", lambda _: with_pickle(colliding_keys())),
    "expanded": (".pt", lambda _: expanded()),
    "expanded-old": (".pt", lambda _: saved({"w": torch.zeros(1).expand(2**38)}, old=True)),
    "torchscript": (".pt", lambda _: script()),
    "bomb": (".pt", lambda _: bomb()),
    "storage-size": (".pt", lambda _: changed_size(ZIP)),
    "storage-size-old": (".pt", lambda _: OLD.replace(b"K\x06Nt", b"J\x00\x00\x00\x40Nt")),
    "flipped": (".pt", lambda _: flipped(ZIP)),
    "zip-dots": (".pt", lambda _: rezipped(ZIP, lambda n, c: [(n, c), (f"../{n}", c)])),
    "zip-absolute": (".pt", lambda _: rezipped(ZIP, lambda n, c: [(n, c), (f"/tmp/{n}", c)])),
    "zip-twice": (".pt", lambda _: rezipped(ZIP, lambda n, c: [(n, c), (n, c)])),
    "zip-other": (".pt", lambda _: rezipped(ZIP, lambda n, c: [(f"word/{n}", c)])),
    "zip-cut-early": (".pt", lambda _: ZIP[:40]),
    "zip-cut-half": (".pt", lambda _: ZIP[: len(ZIP) // 2]),
    "zip-cut-late": (".pt", lambda _: ZIP[:-1]),
    "old-cut-early": (".pt", lambda _: OLD[:40]),
    "old-cut-late": (".pt", lambda _: OLD[:-8]),
    "safe-as-torch": (".pt", lambda _: SAFE),
    "torch-as-safe": (".safetensors", lambda _: ZIP),
    "pickle-as-safe": (".safetensors", lambda canary: touch_program(canary, 2)),
    "other-ending": (".pkl", lambda canary: touch_program(canary, 2)),
    "text": (".pt", lambda _: b"hello\n"),
    "empty": (".pt", lambda _: b""),
    "empty-safe": (".safetensors", lambda _: b""),
    "no-tensors": (".safetensors", lambda _: tensors({})),
    "header-huge": (".safetensors", lambda _: struct.pack("<Q", 2**63) + b"{" + b" " * 99),
    "header-100-mb": (".safetensors", lambda _: tensors(b"{" + b" " * 100_000_000 + b"}")),
    "header-deep": (".safetensors", lambda _: tensors(b'{"a":' * 99_999)),
    "header-list": (".safetensors", lambda _: tensors(b'{"a": 1} ')),
    "header-cut": (".safetensors", lambda _: SAFE[:20]),
    "header-twice": (
        ".safetensors",
        lambda _: tensors(
            b'{"w":%b,"w":%b}' % ((json.dumps(entry(0, 4, [1])).encode(),) * 2), bytes(4)
        ),
    ),
    "body-cut": (".safetensors", lambda _: SAFE[:-1]),
    "body-long": (".safetensors", lambda _: SAFE + b"\0"),
    "offsets-overlap": (
        ".safetensors",
        lambda _: tensors({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, bytes(12)),
    ),
    "offsets-outside": (".safetensors", lambda _: tensors({"a": entry(0, 4096, [1024])}, bytes(8))),
    "offsets-negative": (".safetensors", lambda _: tensors({"a": entry(-4, 4, [2])}, bytes(8))),
    "offsets-gap": (".safetensors", lambda _: tensors({"a": entry(4, 8, [1])}, bytes(8))),
    "shape-lies": (".safetensors", lambda _: tensors({"a": entry(0, 8, [2**40])}, bytes(8))),
    "shape-overflows": (
        ".safetensors",
        lambda _: tensors({"a": entry(0, 8, [2**62, 2**62])}, bytes(8)),
    ),
    "dtype-unknown": (".safetensors", lambda _: tensors({"a": entry(0, 8, [2], "F99")}, bytes(8))),
    "strings": (".pt", lambda _: saved({"layer.weight": "a string"})),
    "number-keys": (".pt", lambda _: saved({1: torch.zeros(1)})),
    "a-list": (".pt", lambda _: saved([torch.zeros(1)])),
    "a-tensor": (".pt", lambda _: saved(torch.zeros(1))),
    "object-array": (".pt", lambda _: saved({"w": np.array([{}], dtype=object)})),
    "complex": (".pt", lambda _: saved({"w": torch.zeros(1, dtype=torch.complex64)})),
    "sparse": (".pt", lambda _: saved({"w": torch.eye(2).to_sparse()})),
    "quantized": (
        ".pt",
        lambda _: saved({"w": torch.quantize_per_tensor(torch.ones(1), 1.0, 0, torch.qint8)}),
    ),
    "meta": (".pt", lambda _: saved({"w": torch.zeros(1, device="meta")})),
    "nan": (".pt", lambda _: saved({"w": torch.tensor([1.0, float("nan")])})),
    "nan-safe": (".safetensors", lambda _: safetensors.torch.save({"w": torch.tensor(np.nan)})),
    "infinite-half": (
        ".safetensors",
        lambda _: safetensors.torch.save({"w": torch.tensor([np.inf], dtype=torch.float16)}),
    ),
    "whole-model": (".pt", lambda _: saved(nn.Linear(2, 2))),
}  # fmt: skip


def refused(path: Path) -> str:
    """The line that `read` refuses `path` with, within 5 s."""
    start_s = time.process_time()
    with pytest.raises(InputError) as caught:
        weights.read(path)
    assert time.process_time() - start_s < 5
    line = caught.value.line()
    assert line.startswith(str(path)) and "\n" not in line and len(line) < 400
    return line


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor.*", "ignore:.*torch.ao.*")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_and_run_nothing(name: str, tmp_path: Path) -> None:
    suffix, make = HOSTILE[name]
    canary = tmp_path / "canary"
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(make(canary))
    refused(path)
    assert not canary.exists()


def test_the_canary_would_show(tmp_path: Path) -> None:
    """The corpus does bite a reader that is not careful."""
    pickle.loads(touch_program(tmp_path / "canary", 2))
    assert (tmp_path / "canary").exists()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for name in ("fifo.pt", "zero.pt", "folder.pt", "link.safetensors"):
        path = tmp_path / name
        if name == "fifo.pt":
            os.mkfifo(path)
        elif name == "folder.pt":
            path.mkdir()
        else:
            path.symlink_to("/dev/zero")
        assert "regular file" in refused(path)
    assert "No such file" in refused(tmp_path / "missing.pt")


def test_larger_than_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        file.truncate(2**42)
    assert "free memory" in refused(path)


def test_the_environment_cannot_loosen_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = tmp_path / "w.pt"
    path.write_bytes(saved({"w": Touch(tmp_path / "canary")}))
    assert "posix.system" in refused(path)
    assert not (tmp_path / "canary").exists()


BESIDE = saved(
    {
        "state_dict": STATE,
        "args": argparse.Namespace(lr=0.1),
        "best": np.float64(1),
        "a": np.ones(2),
    }
)


@pytest.mark.parametrize(
    "data, suffix", [(ZIP, ".pt"), (OLD, ".pt"), (SAFE, ".safetensors"), (BESIDE, ".ckpt")]
)
def test_mutants_are_read_or_refused(data: bytes, suffix: str, tmp_path: Path) -> None:
    draw = random.Random(0)
    path = tmp_path / f"weights{suffix}"
    for _ in range(400):
        mutant = bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 8])):
            mutant[draw.randrange(len(mutant))] = draw.randrange(256)
        if draw.random() < 0.2:
            del mutant[draw.randrange(len(mutant)) :]
        path.write_bytes(mutant)
        try:
            found = weights.read(path)
        except InputError:
            continue
        assert all(torch.isfinite(tensor).all() for tensor in found.values())


FORMS: dict[str, tuple[str, bytes]] = {
    "safetensors": (".safetensors", SAFE),
    "zip": (".pt", ZIP),
    "old": (".pth", OLD),
    "state_dict": (".bin", saved({"epoch": 3, "state_dict": STATE, "best": 0.5})),
    "model": (".pth", saved({"model": STATE, "optimizer": {"lr": [0.1], "on": True}}, old=True)),
    "ckpt": (".ckpt", saved({"state_dict": STATE, "pytorch-lightning_version": "2.6"})),
    "pth.tar": (".pth.tar", saved({"state_dict": STATE, "arch": "resnet18"})),
    "pth.TAR": (".pth.TAR", saved({"state_dict": STATE})),
    "arguments": (".pth", saved({"model": STATE, "args": argparse.Namespace(lr=0.1)})),
    "averaged": (".pth", saved({"model": {"layer.weight": torch.ones(1)}, "model_ema": STATE})),
    "beside": (".pt", saved({**STATE, "best": np.float64(0.5)})),
    "parameters": (".pt", saved({name: nn.Parameter(value) for name, value in STATE.items()})),
    "module": (".pt", saved(nn.ModuleDict({"layer": nn.Linear(3, 2)}).state_dict())),
}


@pytest.mark.parametrize("form", FORMS)
def test_reads_what_training_scripts_write(form: str, tmp_path: Path) -> None:
    suffix, data = FORMS[form]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(data)
    found = weights.read(path)
    assert set(found) == set(STATE)
    assert all(
        type(tensor) is torch.Tensor and not tensor.requires_grad for tensor in found.values()
    )
    if form != "module":
        assert all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.bool]
)
def test_keeps_the_type(dtype: torch.dtype, tmp_path: Path) -> None:
    for name, data in (
        ("w.pt", saved({"w": torch.ones(3, dtype=dtype)})),
        ("o.pt", saved({"w": torch.ones(3, dtype=dtype)}, old=True)),
        ("w.safetensors", safetensors.torch.save({"w": torch.ones(3, dtype=dtype)})),
    ):
        (tmp_path / name).write_bytes(data)
        assert weights.read(tmp_path / name)["w"].dtype == dtype


def net(classes: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, classes))


def message(model: nn.Module, given: dict[str, torch.Tensor]) -> str:
    with pytest.raises(InputError) as caught:
        weights.load_into(model, given, "w.pt")
    return caught.value.line()


def test_load_into_copies_parameters_and_buffers() -> None:
    source, goal = net(), net()
    source(torch.randn(8, 3))
    weights.load_into(goal, source.state_dict(), "w.pt")
    assert all(
        torch.equal(a, b)
        for a, b in zip(source.state_dict().values(), goal.state_dict().values(), strict=True)
    )
    assert goal[1].num_batches_tracked == 1


def test_load_into_says_what_does_not_fit() -> None:
    state = net().state_dict()
    lacking = {name: value for name, value in state.items() if not name.startswith("1.")}
    assert message(net(), {**lacking, "more": torch.zeros(1)}) == (
        "w.pt: the weights do not fit the model: "
        "4 tensors missing: 1.weight, 1.bias, 1.running_mean, 1.running_var; 1 tensor extra: more "
        "(if that is meant, say allow: [extra, missing] beside weights)"
    )
    assert "1 tensor of wrong shape: 0.weight [4, 5] for [4, 3]" in message(
        net(), {**state, "0.weight": torch.zeros(4, 5)}
    )
    heads = {f"head.{number}": torch.zeros(1) for number in range(12)}
    assert "12 tensors extra: head.0, head.1, " in (line := message(net(), {**state, **heads}))
    assert line.endswith("head.9 and 2 more (if that is meant, say allow: [extra] beside weights)")
    assert "they are another model's" in message(net(), heads)


def test_what_is_allowed_is_left_and_said() -> None:
    state = net().state_dict()
    lacking = {name: value for name, value in state.items() if not name.startswith("1.")}
    model = net()
    untouched = model[1].weight.clone()
    notes = weights.load_into(
        model, {**lacking, "head": torch.zeros(1)}, "w.pt", ("extra", "missing")
    )
    assert torch.equal(model[0].weight, state["0.weight"])
    assert torch.equal(model[1].weight, untouched)
    assert notes == (
        "w.pt: missing 1.weight, 1.bias, 1.running_mean, 1.running_var: left as it is initialised",
        "w.pt: extra head: left out",
    )
    for allow in (("extra",), ("missing",)):
        with pytest.raises(InputError, match="extra" if allow == ("missing",) else "missing"):
            weights.load_into(net(), {**lacking, "head": torch.zeros(1)}, "w.pt", allow)
    with pytest.raises(InputError, match="another model's|missing"):
        weights.load_into(net(), {"head": torch.zeros(1)}, "w.pt", ("extra", "missing"))


def test_counters_need_not_be_there() -> None:
    state = {k: v for k, v in net().state_dict().items() if "num_batches" not in k}
    assert weights.load_into(net(), {**state, "n_averaged": torch.ones(1)}, "w.pt") == ()


def test_another_number_of_classes_has_its_own_message() -> None:
    found = message(net(10), net(100).state_dict())
    assert found.startswith("w.pt: weights have 100 classes, data has 10 (say train beside")


def test_nothing_is_copied_when_something_does_not_fit() -> None:
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    message(model, {**net().state_dict(), "0.bias": torch.zeros(9)})
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_tied_tensors_may_come_under_one_name() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    model["b"].weight = model["a"].weight
    assert weights.find_tied(model.state_dict()) == [["a.weight", "b.weight"]]
    given = {
        name: torch.full_like(value, 2.0)
        for name, value in model.state_dict().items()
        if name != "a.weight"
    }
    weights.load_into(model, given, "w.pt")
    assert (model["a"].weight == 2).all() and model["a"].weight is model["b"].weight
