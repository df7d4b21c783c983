"""The model builders, by the name a recipe uses. A builder is a function of the sizes of what goes in and out."""

from __future__ import annotations

from edgekd.table import Member
from edgekd.table import Scalar
from edgekd.table import Table

_HERE = "edgekd.learn.models"
_SHAPE = ("classes", "channels", "height", "width")
_TEXT = ("classes", "vocabulary", "longest")
_OFFERED = (*(*_SHAPE, "vocabulary", "longest", "columns", "numbers", "dimensions", "interface"),)
"""What a builder may ask for: sizes that the data's fields name, and all ends at once."""


def _member(module: str, function: str, summary: str, **preset: Scalar) -> Member:
    return Member(f"{_HERE}.{module}", function, summary, _SHAPE, preset)


def _foreign(package: str, summary: str) -> Member:
    module = f"{_HERE}.{package}"
    return Member(
        module, package, summary, _SHAPE, has_batch_norm=None, is_foreign=True, package=package
    )


def _resnet(depth: int) -> Member:
    summary = f"residual network of {depth} layers, 16-32-64 channels (He et al. 2016)"
    return _member("resnet", "resnet", summary, depth=depth)


def _resnet_imagenet(depth: int) -> Member:
    summary = (
        f"residual network of {depth} layers for photographs, torchvision's names (He et al. 2016)"
    )
    return _member("resnet_imagenet", "resnet_imagenet", summary, depth=depth)


def _resnet_x4(depth: int) -> Member:
    summary = f"residual network of {depth} layers, 64-128-256 channels (Tian et al. 2020)"
    return _member("resnet", "resnet", summary, depth=depth, base=64, stem=32)


def _wrn(depth: int, widen: int) -> Member:
    summary = f"wide residual network, {depth} layers, widened {widen}x (Zagoruyko et al. 2016)"
    return _member("wrn", "wrn", summary, depth=depth, widen=widen)


def _vgg(depth: int) -> Member:
    summary = f"plain convolutions, {depth} layers, batch norm (Simonyan and Zisserman 2015)"
    return _member("vgg", "vgg", summary, depth=depth)


_BUILT_IN: dict[str, Member] = {
    "resnet8": _resnet(8),
    "resnet14": _resnet(14),
    "resnet20": _resnet(20),
    "resnet32": _resnet(32),
    "resnet44": _resnet(44),
    "resnet56": _resnet(56),
    "resnet110": _resnet(110),
    "resnet8x4": _resnet_x4(8),
    "resnet32x4": _resnet_x4(32),
    "resnet18-imagenet": _resnet_imagenet(18),
    "resnet34-imagenet": _resnet_imagenet(34),
    "resnet50-imagenet": _resnet_imagenet(50),
    "wrn-16-1": _wrn(16, 1),
    "wrn-16-2": _wrn(16, 2),
    "wrn-40-1": _wrn(40, 1),
    "wrn-40-2": _wrn(40, 2),
    "vgg8": _vgg(8),
    "vgg11": _vgg(11),
    "vgg13": _vgg(13),
    "mobilenetv2": _member(
        "mobilenetv2", "mobilenetv2", "inverted residuals, half width (Sandler et al. 2018)"
    ),
    "mobilenetv2-imagenet": _member(
        "mobilenetv2_imagenet",
        "mobilenetv2_imagenet",
        "inverted residuals for photographs, torchvision's names (Sandler et al. 2018)",
    ),
    "mobilenetv3-small": _member(
        "mobilenetv3", "mobilenetv3", "squeeze-excite, hard-swish, half width (Howard et al. 2019)"
    ),
    "shufflenetv1": _member(
        "shufflenetv1", "shufflenetv1", "grouped 1x1 convolutions, shuffled (Zhang et al. 2018)"
    ),
    "shufflenetv2": _member(
        "shufflenetv2", "shufflenetv2", "split and shuffled channels (Ma et al. 2018)"
    ),
    "vit-tiny": _member(
        "vit", "vit", "attention over 4x4 patches, 6 layers of 96 (Dosovitskiy et al. 2021)"
    )._replace(has_batch_norm=False),
    "text-encoder": Member(
        f"{_HERE}.text_encoder",
        "text_encoder",
        "attention over tokens, classes from their mean (Vaswani et al. 2017)",
        (*_TEXT, "types"),
        has_batch_norm=False,
    ),
    "text-tagger": Member(
        f"{_HERE}.text_encoder",
        "text_tagger",
        "the same attention, a class of every token",
        _TEXT,
        has_batch_norm=False,
    ),
    "text-embedder": Member(
        f"{_HERE}.text_encoder",
        "text_embedder",
        "the same attention, a vector of length 1 of the whole text",
        ("dimensions", "vocabulary", "longest"),
        has_batch_norm=False,
    ),
    "text-filler": Member(
        f"{_HERE}.text_encoder",
        "text_filler",
        "the same attention, the token behind each mask (Devlin et al. 2019)",
        ("vocabulary", "longest"),
        has_batch_norm=False,
    ),
    "text-decoder": Member(
        f"{_HERE}.text_decoder",
        "text_decoder",
        "attention to what stands before, the next token (Radford et al. 2019)",
        ("vocabulary", "longest"),
        has_batch_norm=False,
    ),
    "unet": _member(
        "unet", "unet", "a class of every pixel, skip connections (Ronneberger et al. 2015)"
    ),
    "mlp": Member(
        f"{_HERE}.mlp",
        "mlp",
        "linear layers over rows of numbers",
        ("interface",),
        has_batch_norm=False,
    ),
    "timm": _foreign(
        "timm", "a model of the timm package: timm:NAME, timm:hf-hub:OWNER/NAME, timm:./FOLDER"
    )._replace(names="folder"),
    "transformers": _foreign(
        "transformers",
        "a text model or image classifier of transformers: transformers:FOLDER or OWNER/NAME",
    )._replace(names="folder", supplied=("interface",)),
    "onnx": Member(
        f"{_HERE}.onnx",
        "onnx",
        "your ONNX file with its weights: onnx:FILE",
        ("interface",),
        has_batch_norm=None,
        is_foreign=True,
        names="file",
    ),
    "python": Member(
        f"{_HERE}.python",
        "python",
        "your own function: python:package.module:function, with --allow-code",
        ("interface", "allow_code"),
        has_batch_norm=None,
        is_foreign=True,
        names="code",
    ),
}
MODELS = Table("model", _BUILT_IN, supplied=_OFFERED)
