"""The field's other names for what a recipe or a call says: those that are understood, and those that are answered with the
exact word to write.

Capitals, dashes, underscores and spaces never matter where a name is wanted: ``AdamW``, ``ImageFolder``, ``CIFAR-10``
and ``cross_entropy`` need no line here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping

from edgekd.tasks import SYNONYMS as TASK_SYNONYMS

KEYS: dict[str, str] = {
    "augment": "views",
    "augmentation": "views",
    "batch": "batch_size",
    "bs": "batch_size",
    "clip": "clip_norm",
    "dataset": "data",
    "ema": "ema_decay",
    "engine": "runtime",
    "engines": "targets",
    "grad_clip": "clip_norm",
    "gradient_clip": "clip_norm",
    "hflip": "flip",
    "horizontal_flip": "flip",
    "img_size": "size",
    "image_size": "size",
    "loss": "losses",
    "lr": "learning_rate",
    "lr_scheduler": "schedule",
    "max_grad_norm": "clip_norm",
    "num_epochs": "epochs",
    "num_threads": "threads",
    "num_workers": "workers",
    "optim": "optimizer",
    "patience": "early_stop_epochs",
    "precisions": "precision",
    "runtimes": "targets",
    "scheduler": "schedule",
    "smoothing": "label_smoothing",
    "t": "temperature",
    "target": "targets",
    "tau": "temperature",
    "temp": "temperature",
    "val": "validation",
    "valid": "validation",
    "warmup": "warmup_epochs",
    "wd": "weight_decay",
}
"""Keys that are understood, where what they stand for may be said and they may not."""

REFUSED_KEYS: dict[str, str] = {
    "alpha": "write a weight beside each loss: {name: kd, weight: 0.9}, {name: cross-entropy, weight: 0.1}",
    "amp": "write precision: bf16 in train",
    "beta": "write a weight beside each loss: {name: kd, weight: 0.9}",
    "classes": "the data name the classes",
    "device": "write --device NAME on the command line",
    "lambda": "write a weight beside each loss: {name: kd, weight: 0.9}",
    "num_classes": "leave it out: the data say how many classes there are",
    "output_dir": "write --run-dir DIR on the command line",
    "pretrained": "write weights: FILE beside model, or model: {name: 'timm:NAME', pretrained: true}",
}
"""Keys that are answered with what to write."""

NAMES: dict[str, dict[str, str]] = {
    "loss": {
        "bce": "binary-cross-entropy",
        "bcewithlogits": "binary-cross-entropy",
        "bcewithlogitsloss": "binary-cross-entropy",
        "ce": "cross-entropy",
        "celoss": "cross-entropy",
        "crossentropyloss": "cross-entropy",
        "hinton": "kd",
        "huber": "smooth-l1",
        "mse": "mean-squared-error",
        "mseloss": "mean-squared-error",
        "smoothl1loss": "smooth-l1",
        "softtargets": "kd",
        "xent": "cross-entropy",
    },
    "model": {"hf": "transformers"},
    "optimizer": {},
    "precision": {
        "bfloat16": "bf16",
        "f16": "fp16",
        "f32": "fp32",
        "float": "fp32",
        "float16": "fp16",
        "float32": "fp32",
        "half": "fp16",
        "i8": "int8",
        "single": "fp32",
    },
    "runtime": {
        "onnx": "onnxruntime",
        "ort": "onnxruntime",
        "onnxrt": "onnxruntime",
        "onnxruntimecpu": "onnxruntime",
        "ov": "openvino",
        "trt": "tensorrt",
    },
    "schedule": {
        "constantlr": "constant",
        "cosineannealing": "cosine",
        "cosineannealinglr": "cosine",
        "multistep": "step",
        "multisteplr": "step",
        "none": "constant",
        "onecyclelr": "one-cycle",
        "steplr": "step",
    },
    "scheme": {"kd": "offline", "online": "dml", "mutual": "dml"},
    "source": {
        "folder": "image-folder",
        "hf": "huggingface",
        "huggingfacedatasets": "huggingface",
        "fmnist": "fashion-mnist",
        "jsonlines": "jsonl",
        "npy": "npz",
    },
    "step": {
        "distill": "distil",
        "distillation": "distil",
        "kd": "distil",
        "lowrank": "factorize",
        "factorise": "factorize",
        "factorization": "factorize",
        "pruning": "prune",
        "qat": "quantize",
        "quantise": "quantize",
        "quantization": "quantize",
    },
    "task": TASK_SYNONYMS,
}
"""By the key that holds a name: other names, in small letters and without dashes, that are understood."""

REFUSED_NAMES: dict[str, dict[str, str]] = {
    "loss": {
        "focal": "no focal loss is built in: write cross-entropy",
        "kl": "write kd, the divergence of softened logits; or forward-kl, of tokens",
        "kldiv": "write kd, the divergence of softened logits; or forward-kl, of tokens",
        "kldivloss": "write kd, the divergence of softened logits; or forward-kl, of tokens",
        "l1": "write smooth-l1",
        "nll": "write cross-entropy",
    },
    "precision": {
        "mixed": "write the precisions as a list: [fp32, int8]",
    },
    "runtime": {
        "coreml": "it is not built in; write onnxruntime or openvino",
        "tflite": "it is not built in; write onnxruntime or openvino",
        "torch": "models leave torch as ONNX: write onnxruntime or openvino",
        "tvm": "it is not built in; write onnxruntime or openvino",
    },
    "schedule": {"plateau": "write cosine", "linear": "write one-cycle"},
    "source": {
        "coco": "detection is not built in; masks of classes are: write mask-folder:DIR",
        "imagenet": "write image-folder:DIR with the folder it was unpacked to",
        "mnist": "write fashion-mnist or digits; your own copy of it: npz:FILE or image-folder:DIR",
        "yolo": "detection is not built in; masks of classes are: write mask-folder:DIR",
    },
    "step": {"ptq": "write quantize, and train: null beside it"},
    "task": {
        "detection": "it is not built in",
        "objectdetection": "it is not built in",
    },
}
"""Names that are answered with what to write, by the key that holds them."""

TIMM_NAMES: dict[str, str] = {
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "regnet_y_400mf": "regnety_004",
    "vit_b_16": "vit_base_patch16_224",
}
"""Networks of torchvision that timm calls something else."""
_TORCHVISION = re.compile(
    r"resnet(18|34|50|101|152)|(wide_resnet|resnext)\d+_\w+|(efficientnet_|convnext_|regnet_|vit_|swin_|mobilenet_v)\w+"
    r"|densenet\d{3}|inception_v3|vgg1[369]_bn"
)


def _is_there(path: str) -> bool:
    """Return whether something lies at a path; what no path can be does not."""
    try:
        return os.path.exists(path)  # noqa: PTH110  (exists can raise)
    except (OSError, ValueError):
        return False


def squeeze(name: str) -> str:
    """`name` in small letters, without what people put between words."""
    return re.sub(r"[-_ ]", "", name).lower()


def find_name(name: str, known: Iterable[str], synonyms: Mapping[str, str] = {}) -> str:
    """The one of `known` names that `name` means: itself, one spelled otherwise, or a synonym's; else `name`."""
    known = tuple(known)
    if name in known:
        return name
    form = squeeze(name)
    alike = [other for other in known if squeeze(other) == form]
    if len(alike) == 1:
        return alike[0]
    meant = synonyms.get(form, name)
    return meant if meant in known else name


def find_key(key: str, known: Collection[str]) -> str:
    """The one of `known` keys that `key` means: itself, one spelled otherwise, or a synonym's; else `key`."""
    if key in known:
        return key
    form = squeeze(key)
    alike = [name for name in known if squeeze(name) == form]
    meant = alike[0] if len(alike) == 1 else KEYS.get(key.lower(), key)
    return meant if meant in known else key


def refuse_name(key: str, name: str, known: Iterable[str]) -> str:
    """What to write in place of a name that is not known, as ``got unknown runtime X; write Y``; empty where no line says it."""
    if name in known:
        return ""
    head, _, rest = name.partition(":")
    if key == "source" and _is_there(name):
        return f"got a path, want SOURCE:PATH, which edgekd sources {name} tells"
    if key == "model" and (head == "torchvision" or not rest and _TORCHVISION.fullmatch(name)):
        wanted = (rest or name).removeprefix("models.").lower()
        for own in known:  # takes torchvision's files of weights, and needs no package
            if squeeze(own) == f"{squeeze(wanted)}imagenet":
                return f"got unknown model {name!r}; write {own}"
        return f"got unknown model {name!r}; write timm:{TIMM_NAMES.get(wanted, wanted)} (needs edgekd[timm])"
    meant = REFUSED_NAMES.get(key, {}).get(squeeze(head), "")
    return f"got unknown {key} {name!r}; {meant}" if meant else ""
