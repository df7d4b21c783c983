"""The exporter's table of translations is made once a process, and the files stay the same to the byte."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import hashlib, sys
from pathlib import Path
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry
from edgekd.interface import image_classifier
from edgekd.learn.export import to_onnx
from edgekd.learn.export import translations

made = []
original = ONNXRegistry.from_torchlib.__func__
def counted(cls, **more):
    made.append(more)
    return original(cls, **more)
ONNXRegistry.from_torchlib = classmethod(counted)
if sys.argv[1] == "anew":
    translations.cache_translations = lambda: None
torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
interface = image_classifier(classes=3, channels=1, height=4, width=4)
digests = [
    hashlib.sha256(to_onnx.write(model, Path(sys.argv[2]), interface, opset=opset).read_bytes()).hexdigest()
    for opset in (18, 20, 18)
]
print(len(made), *digests)
"""


def exported(how: str, path: object) -> list[str]:
    argv = [sys.executable, "-W", "ignore", "-c", PROBE, how, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_once_an_operator_set_and_the_same_bytes(tmp_path: object) -> None:
    times, *digests = exported("once", f"{tmp_path}/model.onnx")
    times_anew, *digests_anew = exported("anew", f"{tmp_path}/model.onnx")
    assert (times, times_anew) == ("2", "3")
    assert digests == digests_anew and digests[0] == digests[2] != digests[1]
