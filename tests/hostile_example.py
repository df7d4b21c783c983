"""Builds models from hostile arguments, in a process where every socket, foreign file and start of code is refused and noted.

Run as ``python hostile_example.py FOLDER SEED CASES``; prints what was noted as JSON. `FOLDER` holds bait: pickles and modules
that a builder must never touch.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import json
import os
import pickle
import random
import sys
import sysconfig
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.models import MODELS

FORBIDDEN = (
    *("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
    *(
        "pickle.find_class",
        "shutil.",
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.link",
        "os.symlink",
    ),
    *("urllib.", "http.", "ftplib.", "tempfile.", "ctypes.dlopen", "webbrowser."),
)
WORDS = ("vit", "resnet", "gelu", "timm_wrapper", "clip", "bert", "auto", "kernels", "true", "")
FIELDS = (
    *(
        "architecture",
        "model_args",
        "pretrained_cfg",
        "backbone",
        "backbone_config",
        "backbone_kwargs",
    ),
    *(
        "use_timm_backbone",
        "use_pretrained_backbone",
        "auto_map",
        "trust_remote_code",
        "custom_pipelines",
    ),
    *(
        "attn_implementation",
        "_attn_implementation",
        "attn_implementation_internal",
        "experts_implementation",
    ),
    *(
        "quantization_config",
        "vision_config",
        "text_config",
        "_name_or_path",
        "name_or_path",
        "dtype",
    ),
    *(
        "torch_dtype",
        "hidden_act",
        "layer_type",
        "checkpoint_path",
        "pretrained",
        "file",
        "url",
        "hf_hub_id",
    ),
    *(
        "_commit_hash",
        "code_revision",
        "tokenizer_class",
        "adapter_kwargs",
        "peft_config",
        "generation_config",
    ),
    *(
        "use_kernels",
        "kernel_config",
        "_out_features",
        "depths",
        "hidden_sizes",
        "image_size",
        "id2label",
    ),
)

_TEXT = ("batch", "length")
ENDS = {
    "text-encoder": Interface(
        (
            Tensor("tokens", "int64", _TEXT, "index", below=9),
            Tensor("mask", "int64", _TEXT, "mask"),
        ),
        (Tensor("logits", "float32", ("batch", 3), "logits", class_axis=1),),
        (Axis("batch"), Axis("length", 1, 4, 8)),
        {"classes": 3, "vocabulary": 9, "longest": 8, "types": 1},
    ),
    "text-tagger": Interface(
        (
            Tensor("tokens", "int64", _TEXT, "index", below=9),
            Tensor("mask", "int64", _TEXT, "mask"),
        ),
        (Tensor("logits", "float32", (*_TEXT, 3), "logits", class_axis=2),),
        (Axis("batch"), Axis("length", 1, 4, 8)),
        {"classes": 3, "vocabulary": 9, "longest": 8},
    ),
    "text-embedder": Interface(
        (
            Tensor("tokens", "int64", _TEXT, "index", below=9),
            Tensor("mask", "int64", _TEXT, "mask"),
        ),
        (Tensor("embedding", "float32", ("batch", 4), target="pairs"),),
        (Axis("batch"), Axis("length", 1, 4, 8)),
        {"dimensions": 4, "vocabulary": 9, "longest": 8},
    ),
    "text-decoder": Interface(
        (
            Tensor("tokens", "int64", _TEXT, "index", below=9),
            Tensor("mask", "int64", _TEXT, "mask"),
        ),
        (Tensor("logits", "float32", (*_TEXT, 9), "logits", class_axis=2),),
        (Axis("batch"), Axis("length", 1, 4, 8)),
        {"vocabulary": 9, "longest": 8},
    ),
    "text-filler": Interface(
        (
            Tensor("tokens", "int64", _TEXT, "index", below=9),
            Tensor("mask", "int64", _TEXT, "mask"),
        ),
        (Tensor("logits", "float32", (*_TEXT, 9), "logits", class_axis=2),),
        (Axis("batch"), Axis("length", 1, 4, 8)),
        {"vocabulary": 9, "longest": 8},
    ),
    "unet": Interface(
        (Tensor("images", "float32", ("batch", 3, 32, 32)),),
        (Tensor("logits", "float32", ("batch", 3, 32, 32), "logits", class_axis=1),),
        sizes={"classes": 3, "channels": 3, "height": 32, "width": 32},
    ),
}
"""Of the builders that make no classifier of images."""


class Noted:
    """An audit hook; it cannot be taken off, so it looks only while `on`."""

    def __init__(self, readable: tuple[str, ...]) -> None:
        self.on = False
        self.readable = readable
        self.named = ""
        self.events: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "ctypes.dlopen" and arguments == ("libc.so.6",):  # an import of another package
            return
        if event.startswith(FORBIDDEN):
            self._refuse(f"{event} {arguments!r:.200}")
        elif event == "open":
            path, mode, flags = (*arguments, None, None)[:3]
            writes = bool(set(str(mode or "r")) & set("wax+")) or bool((flags or 0) & 3)
            if isinstance(path, int) or str(path).startswith(("/proc", "/sys", "/dev/null")):
                return
            real = os.path.realpath(os.fsdecode(path))
            if writes or not (real == self.named or real.startswith(self.readable)):
                self._refuse(f"open {real} {mode} {flags}")

    def _refuse(self, what: str) -> None:
        self.events.append(what)
        raise PermissionError(f"{what}: not for a builder")


class Torchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for a torchvision that does not import beside this torch, so that timm does."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name.split(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: _stand_in(name)  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__version__ = "0.28.0"  # type: ignore[attr-defined]
        module.__path__ = []


class _Named(type):
    """Classes whose attributes are there whatever they are called."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return f"{cls.__name__}.{name}"


def _stand_in(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return _Named(name, (nn.Module,), {})


class Bait:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def lay_bait(folder: Path) -> list[str]:
    """Strings that would reach for the network, a file or code, if somebody followed them."""
    checkpoint, module = folder / "bait.pth", folder / "bait_module.py"
    checkpoint.write_bytes(pickle.dumps(Bait(folder / "mark")))
    module.write_text(f"import os\nos.mkdir({str(folder / 'mark')!r})\ndef build(**_): pass\n")
    (folder / "model.safetensors").write_bytes(b"bait")
    (folder / "pytorch_model.bin").write_bytes(checkpoint.read_bytes())
    wrapper = {"model_type": "timm_wrapper", "architecture": f"local-dir:{folder}"}
    (folder / "config.json").write_text(
        json.dumps({**wrapper, "auto_map": {"AutoConfig": "bait_module.X"}})
    )
    return [
        *(
            str(folder),
            str(checkpoint),
            f"file://{checkpoint}",
            f"local-dir:{folder}",
            "../bait.pth",
        ),
        *(
            "hf-hub:someone/model",
            "hf_hub:someone/model",
            "https://127.0.0.1:9/model.pth",
            "someone/model",
        ),
        *(
            "bait_module:build",
            "bait_module.X",
            "someone/repo--bait_module.X",
            "kernels-community/flash-attn",
        ),
        *(
            f"resnet18.hf-hub:{folder}",
            f"timm:local-dir:{folder}",
            "flash_attention_2",
            "os:system",
        ),
    ]


def trees(draw: random.Random, bait: list[str], depth: int = 3) -> Any:
    """A JSON value with bait at any depth."""
    kind = draw.randrange(8 if depth else 5)
    if kind < 2:
        return draw.choice(bait)
    if kind == 2:
        return draw.choice(WORDS)
    if kind == 3:
        return draw.choice((True, False, None, 0, 1, 2, -1, 1e30))
    if kind == 4:
        return draw.choice(("pretrained", *FIELDS))
    if kind == 5:
        return [trees(draw, bait, depth - 1) for _ in range(draw.randrange(3))]
    return {draw.choice(FIELDS): trees(draw, bait, depth - 1) for _ in range(draw.randrange(1, 4))}


def known_attacks(bait: list[str]) -> list[dict[str, Any]]:
    """Of transformers: a configuration whose model is another package's, and code from the hub."""
    wrapped = [
        {"model_type": "timm_wrapper", "architecture": where} for where in (*bait, "resnet18")
    ]
    checkpoint = {
        "pretrained_cfg": {"file": bait[1]},
        "checkpoint_path": bait[1],
        "pretrained": True,
    }
    wrapped += [{**fields, "model_args": checkpoint} for fields in wrapped]
    kernels = [{"model_type": "vit", "attn_implementation": where} for where in bait]
    return [{"config": json.dumps(fields)} for fields in (*wrapped, *kernels)]


def arguments(
    builder: str, draw: random.Random, bait: list[str], kinds: list[str]
) -> dict[str, Any]:
    """What a recipe or a foreign blueprint could say of a builder."""
    if builder == "transformers":
        fields = {draw.choice(FIELDS): trees(draw, bait) for _ in range(draw.randrange(4))}
        kind = draw.choice([*kinds, *bait, *WORDS])
        config = json.dumps({"model_type": kind, **fields})
        return draw.choice(
            ({"config": config}, {"config": config}, {"reference": draw.choice((kind, *bait))})
        )
    if builder in ("timm", "python"):
        return {
            "reference": draw.choice(
                [*bait, *WORDS, "resnet18", f"vit_tiny_patch16_224.{draw.choice(bait)}"]
            )
        }
    return {draw.choice((*FIELDS, "depth", "base", "widen")): trees(draw, bait)}


def main(folder: Path, seed: int, cases: int) -> None:
    sys.path.append(str(folder))
    sys.dont_write_bytecode = True
    bait = lay_bait(folder)
    draw = random.Random(seed)
    kinds = _packages()
    code = (
        sysconfig.get_paths()["stdlib"],
        sys.prefix,
        sys.base_prefix,
        str(Path(blueprint.__file__).parents[2]),
    )
    interface = image_classifier(classes=3, channels=3, height=32, width=32)
    with torch.device(
        "meta"
    ):  # torch loads parts of itself, and makes their folders, with the first model
        blueprint.build(Blueprint(builder="resnet8", interface=interface))
    noted = Noted(tuple(map(os.path.realpath, (*code, *_sites()))))
    sys.addaudithook(noted)
    built = dict.fromkeys(MODELS, 0)
    for builder in MODELS:
        foreign = builder in ("transformers", "timm", "python")
        drawn = [arguments(builder, draw, bait, kinds) for _ in range(cases if foreign else 3)]
        sound = {"timm": {"reference": "resnet18"}, "transformers": {"reference": "resnet"}}
        known = [sound.get(builder, {})] + (
            known_attacks(bait) if builder == "transformers" else []
        )
        for said in (*known, *drawn):
            # A recipe may name a folder of transformers or timm: its config.json is read, nothing else.
            named = said.get("reference") if builder in ("transformers", "timm") else None
            named = str(named or "").removeprefix("local-dir:")
            noted.named = os.path.realpath(f"{named}/config.json") if named else ""
            noted.on = True
            try:
                with torch.device("meta"):
                    ends = ENDS.get(builder, interface)
                    blueprint.build(Blueprint(builder=builder, arguments=said, interface=ends))
                built[builder] += 1
            except (EdgekdError, ValueError, PermissionError):
                pass
            finally:
                noted.on = False
            if noted.events or (folder / "mark").exists():
                break
        if noted.events:
            noted.events.append(f"{builder}: {said!r}")
            break
    installed = [name for name in ("timm", "transformers") if name in sys.modules]
    found = {"events": noted.events, "built": built, "mark": (folder / "mark").exists()}
    print(json.dumps({**found, "installed": installed}))


def _sites() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


def _packages() -> list[str]:
    """Import what builders import, which is not what is tested; the model types of transformers."""
    try:
        import torchvision  # noqa: F401
    except Exception:  # a RuntimeError beside another torch
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.meta_path.insert(0, Torchvision())
    kinds = []
    with contextlib.suppress(ImportError):
        import timm  # noqa: F401
    with contextlib.suppress(ImportError):
        from transformers.models.auto.modeling_auto import (
            MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
        )

        kinds = list(MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)
    return kinds


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
