from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn.export import to_onnx

INTERFACE = image_classifier(classes=10, channels=1, height=8, width=8)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Net(nn.Module):
    """A resnet in small; with dropout, so that training mode would show."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.block = Block(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block(torch.relu(self.bn(self.stem(x))))
        return self.head(self.drop(x.mean((2, 3))))


class Refused(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svd(x.flatten(1))[1]


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x.flatten(1)
        return -x.flatten(1)


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x * 2)


def trained_net() -> Net:
    """BatchNorm with statistics and gains that are not the initial ones."""
    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(16, 1, 8, 8) * 3 + 1)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2)
                module.bias.uniform_(-1, 1)
    return net


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Net, Path]:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    net = trained_net()
    to_onnx.write(net, path, INTERFACE, opset=18)
    return net, path


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_any_batch_gives_torchs_answer(written: tuple[Net, Path], batch: int) -> None:
    net, path = written
    images = np.random.default_rng(batch).normal(size=(batch, 1, 8, 8)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (got,) = session.run(["logits"], {"images": images})
    with torch.no_grad():
        want = trained_net().eval()(torch.from_numpy(images)).numpy()
    assert got.shape == (batch, 10)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_the_callers_model_stays_as_it_was(written: tuple[Net, Path]) -> None:
    net, _ = written
    assert net.training and net.drop.training
    for got, want in zip(
        net.state_dict().values(), trained_net().state_dict().values(), strict=True
    ):
        assert torch.equal(got, want)


def test_the_file_holds_the_model_and_nothing_else(written: tuple[Net, Path]) -> None:
    _, path = written
    proto = onnx.load(path)
    operations = [node.op_type for node in proto.graph.node]
    assert "BatchNormalization" not in operations and "Dropout" not in operations
    assert operations.count("Conv") == 3
    held = sum(int(np.prod(weight.dims)) for weight in proto.graph.initializer)
    folded = 8 * 9 + 8 + 2 * (8 * 8 * 9 + 8) + 8 * 10 + 10  # each BatchNorm left one bias
    assert held - folded <= 4  # the axes of the mean
    assert not any(weight.external_data for weight in proto.graph.initializer)
    assert not proto.metadata_props and not any(node.metadata_props for node in proto.graph.node)
    for text in (b".py", b"/home", b"/tmp", b"site-packages", b"pkg.", b"2.13", b"pytorch"):
        assert text not in path.read_bytes()
    assert [path.name for path in path.parent.iterdir()] == ["model.onnx"]


def test_two_processes_write_the_same_bytes(written: tuple[Net, Path], tmp_path: Path) -> None:
    again = tmp_path / "again" / "model.onnx"
    script = (
        "import importlib.util, sys, pathlib\n"
        "spec = importlib.util.spec_from_file_location('here', sys.argv[1])\n"
        "here = importlib.util.module_from_spec(spec); spec.loader.exec_module(here)\n"
        "here.to_onnx.write(here.trained_net(), pathlib.Path(sys.argv[2]), here.INTERFACE, opset=18)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script, __file__, str(again)],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert again.read_bytes() == written[1].read_bytes()
    assert done.stdout == done.stderr == ""


def test_the_asked_operator_set_is_written(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    to_onnx.write(trained_net(), path, INTERFACE, opset=to_onnx.OPSETS[1])
    assert [(e.domain, e.version) for e in onnx.load(path).opset_import] == [
        ("", to_onnx.OPSETS[1])
    ]
    with pytest.raises(ValueError, match="want 18 <= opset <= 23, got 17"):
        to_onnx.write(trained_net(), path, INTERFACE, opset=17)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Around(Refused()), ["Around.inner (Refused)", "_linalg_svd", "no ONNX form"]),
        (Around(Branching()), ["Around.inner (Branching)", "depends on the values"]),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), ["Sequential.1 (Linear)"]),
        (nn.Conv2d(1, 4, 3), ["Conv2d", "got logits", "want ['batch', 10]"]),
    ],
    ids=["operation", "branch", "shape", "no-logits"],
)
def test_a_refusal_names_module_and_reason(
    tmp_path: Path, model: nn.Module, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        to_onnx.write(model, tmp_path / "model.onnx", INTERFACE, opset=18)
    for word in words:
        assert word in caught.value.line()
    assert "\x1b" not in caught.value.line() and not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
