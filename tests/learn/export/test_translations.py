"""The exporter's table of translations is made once a process, and the files stay the same to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROBE = """
import hashlib, sys
from pathlib import Path
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry
from edgekd.interface import image_classifier
from edgekd.learn.export import to_onnx

made = []
original = ONNXRegistry.from_torchlib.__func__
def counted(cls, **more):
    made.append(more)
    return original(cls, **more)
ONNXRegistry.from_torchlib = classmethod(counted)
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
interface = image_classifier(classes=3, channels=1, height=4, width=4)
def digest(opset):
    path = to_onnx.write(model, Path(sys.argv[1]), interface, opset=opset)
    return hashlib.sha256(path.read_bytes()).hexdigest()

digests = [digest(opset) for opset in (18, 20, 18)]
times = len(made)
ONNXRegistry.from_torchlib = classmethod(counted)  # anew each time, as torch does by itself
digests.append(digest(18))
print(times, len(made), *digests)
"""


def test_once_an_operator_set_and_the_same_bytes(tmp_path: Path) -> None:
    argv = [sys.executable, "-W", "ignore", "-c", PROBE, str(tmp_path / "model.onnx")]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    times, times_anew, *digests = done.stdout.split()
    assert (times, times_anew) == ("2", "3")
    assert digests[0] == digests[2] == digests[3] != digests[1]
