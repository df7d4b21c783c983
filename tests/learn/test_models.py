"""The table of builders: what the literature says of them, any image, a clean export."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.learn.blueprint import build
from edgekd.learn.complexity import count_parameters
from edgekd.learn.models import MODELS
from edgekd.named_member import NamedMember
from edgekd.table import find_signature
from tests.learn.blueprint_example import image_blueprint

# Millions of parameters for CIFAR-100: the tables of RepDistiller (Tian et al. 2020, arXiv:1910.10699)
# and mdistiller (Zhao et al. 2022, arXiv:2203.08679). The exact counts follow from the networks'
# definitions there; each family's own test adds them up by hand. MobileNetV3 and the transformer are no
# members of those tables: their tests compare the size that was published with the publication.
PUBLISHED = {
    "resnet8": (83_892, "0.08"),
    "resnet14": (181_108, "0.18"),
    "resnet20": (278_324, "0.28"),
    "resnet32": (472_756, "0.47"),
    "resnet44": (667_188, "0.67"),
    "resnet56": (861_620, "0.86"),
    "resnet110": (1_736_564, "1.74"),
    "resnet8x4": (1_233_540, "1.23"),
    "resnet32x4": (7_433_860, "7.43"),
    "resnet18-imagenet": (11_689_512 - 900 * 513, "11.23"),
    "resnet34-imagenet": (21_797_672 - 900 * 513, "21.34"),
    "resnet50-imagenet": (25_557_032 - 900 * 2049, "23.71"),
    "wrn-16-1": (180_916, "0.18"),
    "wrn-16-2": (703_284, "0.70"),
    "wrn-40-1": (569_780, "0.57"),
    "wrn-40-2": (2_255_156, "2.26"),
    "vgg8": (3_965_028, "3.97"),
    "vgg11": (9_277_284, "9.28"),
    "vgg13": (9_462_180, "9.46"),
    "mobilenetv2": (812_836, "0.81"),
    "mobilenetv2-imagenet": (2_351_972, "2.35"),
    "mobilenetv3-small": (654_732, "0.65"),
    "shufflenetv1": (949_258, "0.95"),
    "shufflenetv2": (1_355_528, "1.36"),
    "vit-tiny": (691_780, "0.69"),
}
OTHER_ENDS = {
    "text-encoder",
    "text-tagger",
    "text-decoder",
    "text-embedder",
    "text-filler",
    "unet",
    "mlp",
}
"""Those that are no classifiers of images: each has a test of its own in `models/`."""
FAMILIES = (
    "resnet8",
    "resnet8x4",
    "resnet18-imagenet",
    "wrn-16-1",
    "vgg8",
    "mobilenetv2",
    "mobilenetv2-imagenet",
    "mobilenetv3-small",
    "shufflenetv1",
    "shufflenetv2",
    "vit-tiny",
)


def made(
    name: str, *, channels: int = 3, sides: tuple[int, int] = (32, 32), classes: int = 100
) -> nn.Module:
    height, width = sides
    return build(
        image_blueprint(
            builder=name, classes=classes, channels=channels, height=height, width=width
        )
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name: str) -> None:
    count, millions = PUBLISHED[name]
    assert count_parameters(made(name)) == count
    assert f"{count / 1e6:.2f}" == millions


def test_every_name_is_published_or_open() -> None:
    assert set(MODELS) == {*PUBLISHED, *OTHER_ENDS, "timm", "transformers", "onnx", "python"}


@pytest.mark.parametrize("name", MODELS)
def test_the_table_is_true(name: str) -> None:
    member = MODELS[name]
    found = find_signature(member)
    assert found.positional == ()
    assert callable(member.load())
    assert set(member.preset) <= set(found.knobs.model_fields)
    assert member.summary and len(member.summary) <= 90


def test_the_table_costs_no_torch() -> None:
    code = "import sys, edgekd.learn.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recipe_may_change_a_knob() -> None:
    named = NamedMember.parse({"name": "resnet8", "base": 8}, MODELS, "model")
    assert named.arguments == {"depth": 8, "base": 8, "stem": None}


@pytest.mark.parametrize("sides", [(8, 8), (9, 17), (28, 28), (33, 64)])
@pytest.mark.parametrize("name", FAMILIES)
def test_any_image_trains(name: str, sides: tuple[int, int]) -> None:
    model = made(name, channels=1, sides=sides, classes=5)
    images = torch.randn(4, 1, *sides)
    model(images).logsumexp(1).sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


# Sides of the last feature map before the pooling over it; for 32x32 as published.
LAST_SIDE = {
    "resnet": 8,
    "wrn": 8,
    "vgg": 4,
    "mobilenetv2": 2,
    "mobilenetv3": 2,
    "shufflenetv1": 4,
    "shufflenetv2": 4,
}


@pytest.mark.parametrize("name", [name for name in FAMILIES if MODELS[name].function in LAST_SIDE])
def test_halvings(name: str) -> None:
    for side in (8, 32):
        model = made(name, sides=(side, side))
        seen: list[torch.Size] = []
        pool = [m for m in model.modules() if isinstance(m, nn.AdaptiveAvgPool2d)][-1]
        pool.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0].shape))
        model.eval()(torch.zeros(1, 3, side, side))
        want = LAST_SIDE[MODELS[name].function] if side == 32 else 2
        assert tuple(seen[0][2:]) == (want, want)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_seed_decides_the_weights(name: str) -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in made(name, sides=(8, 8)).parameters()])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@pytest.mark.parametrize("name", FAMILIES)
def test_images_do_not_see_one_another(name: str) -> None:
    model = made(name, sides=(16, 16)).eval()
    images = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        alone = torch.cat([model(image[None]) for image in images])
        assert torch.allclose(model(images), alone, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "resnet8x4"])
def test_exports_with_a_dynamic_batch(name: str, tmp_path: Path) -> None:
    model = made(name, channels=1, sides=(8, 8), classes=10).eval()
    path = tmp_path / "model.onnx"
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.randn(2, 1, 8, 8),),
            path,
            dynamo=True,
            dynamic_shapes=({0: batch},),
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 5):
        images = torch.randn(count, 1, 8, 8)
        (got,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(got, model(images).numpy(), atol=1e-4)
