"""One step of many methods, told as tensors by name; on ranks, of the whole batch."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.assembly.connection import connect
from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.models.resnet import resnet
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel.sharing import share_networks
from edgekd.learn.schemes.blockwise import blockwise
from edgekd.learn.schemes.data_free import dafl
from edgekd.learn.schemes.data_free import zskt
from edgekd.learn.schemes.densely_guided import densely_guided
from edgekd.learn.schemes.exits import byot
from edgekd.learn.schemes.mean_teacher import ema
from edgekd.learn.schemes.native_ensemble import native_ensemble
from edgekd.learn.schemes.offline import offline
from edgekd.learn.schemes.own_ranks import uskd
from edgekd.learn.schemes.peers import dml
from edgekd.learn.schemes.robust import adversarial
from edgekd.learn.schemes.same_class import cs_kd
from edgekd.learn.schemes.self_supervised import self_supervised
from edgekd.learn.schemes.supernet import supernet
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from tests.learn.schemes import online_example as example

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOSS_NAMES = (
    "cross-entropy",
    "kd",
    "dist",
    "mlkd",
    "fitnet",
    "vid",
    "mgd",
    "at",
    "sp",
    "rkd",
    "pkd",
    "crd",
)
SCHEMES: dict[str, tuple[Callable[..., Scheme], dict[str, Any]]] = {
    "dml": (dml, {}),
    "one": (native_ensemble, {}),
    "byot": (byot, {}),
    "ema": (ema, {}),
    "uskd": (uskd, {}),
    "cs-kd": (cs_kd, {}),
    "sskd": (self_supervised, {}),
    "densely-guided": (densely_guided, {}),
    "blockwise": (blockwise, {}),
    "supernet": (supernet, {"knob": "base", "values": "2, 4"}),
    "dafl": (dafl, {"noise": 6, "width": 4, "feature": 1.0}),
    "zskt": (zskt, {"noise": 6, "width": 4}),
    "adversarial": (adversarial, {"steps": 2, "step": 0.02}),
}
PAIRS = (("layer1", "layer1"), ("layer2", "layer2"), ("layer3", "layer3"))


class Sized(nn.Module):
    """A network with dropout before its last stage, which notes how many images it is given."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.images = network, 0
        network.layer3 = nn.Sequential(nn.Dropout(0.3), network.layer3)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        self.images = len(images)
        logits: Tensor = self.network(images)
        return logits


def network(seed: int, **knobs: int) -> nn.Module:
    torch.manual_seed(seed)
    return resnet(**{**example.SHAPE, "depth": 8, "base": 8, **knobs})


def told_by(teacher: nn.Module) -> Callable[[TensorBatch], Tensor]:
    def tell(seen: TensorBatch) -> Tensor:
        with torch.no_grad():
            return teacher(*seen.inputs)

    return tell


def term(name: str) -> Term:
    return Term(loss=NamedMember.parse(name, LOSSES, "loss"), weight=0.5)


class Wide(Samples):
    """Their images are float64, like the networks."""

    def batch(self, indices: NDArray[np.int64], view: int, *, is_pending: bool = False) -> Batch:
        """As ever, but wide."""
        found = Samples.batch(self, indices, view)
        return found._replace(inputs=tuple(each.astype(np.float64) for each in found.inputs))


def samples() -> Samples:
    plain = example.samples()
    names = (field.name for field in dataclasses.fields(plain))
    return Wide(**{name: getattr(plain, name) for name in names})


def seen() -> TensorBatch:
    return example.seen(samples().batch(np.arange(example.BATCH), 0), 3.0)


def of_loss(name: str) -> dict[str, Tensor]:
    """One step in which the student of a narrower kind learns by one loss from a teacher."""
    student, teacher = network(1), network(2, base=12).eval().requires_grad_(False)
    terms = [term("cross-entropy"), term(name)]
    settings = {"classes": example.CLASSES, "samples": len(example.samples())}
    found = connect(terms, student, teacher, seen().inputs[0], **settings)
    return stepped(student, found.add_to_scheme(offline(told_by(teacher))), found.terms)


def of_scheme(name: str) -> dict[str, Tensor]:
    """One step of a scheme with cross-entropy and, where it teaches, kd."""
    student, teacher = network(1), network(2, base=12).eval().requires_grad_(False)
    others = [told_by(teacher), told_by(network(3).eval())]
    offered = {
        "student": student,
        "teacher": teacher,
        "teacher_function": others[0],
        "teacher_functions": others,
        "classes": example.CLASSES,
        "samples": samples(),
        "build_peer": lambda number: network(10 + number),
        "build_smaller": lambda knob, value: network(20, **{knob: value}),
        "stages": example.KINDS["maps"].stages,
        "pairs": PAIRS,
        "device": example.CPU,
    }
    build, knobs = SCHEMES[name]
    scheme = build(*(offered[each] for each in asked(build)), **knobs)
    teaches = name not in ("uskd", "adversarial")
    terms = [term("cross-entropy"), *([term("kd")] if teaches else [])]
    return stepped(student, scheme, bind_terms(terms))


def asked(build: Callable[..., Scheme]) -> list[str]:
    found = inspect.signature(build).parameters.values()
    return [each.name for each in found if each.kind is not each.KEYWORD_ONLY]


def of_dropout(watched: bool) -> tuple[dict[str, Tensor], int]:
    """One step of a student with dropout; someone may look into it. And how many images it was given."""
    student = Sized(network(1))
    if watched:
        student.network.layer2.register_forward_hook(lambda module, given, made: None)
    scheme = offline(told_by(network(2).eval()))
    found = stepped(student, scheme, bind_terms([term("cross-entropy")]))
    return found, student.images


class LastNorm(nn.BatchNorm2d):
    """A batch norm whose channels come last."""

    def forward(self, images: Tensor) -> Tensor:
        """As ever."""
        return super().forward(images.contiguous(memory_format=torch.channels_last))


NORMS: dict[str, Callable[[], nn.Module]] = {
    "maps": lambda: nn.BatchNorm2d(3),
    "last": lambda: LastNorm(3),
    "vectors": lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(75, momentum=None)),
    "plain": lambda: nn.BatchNorm2d(3, affine=False, track_running_stats=False),
}


def of_norm(name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """A batch norm far from 0, twice, and the gradients of its parameters and of what it is given."""
    random = torch.Generator().manual_seed(4)
    images = torch.randn(6, 3, 5, 5, generator=random, dtype=torch.float64) * 3 + 20
    images = images.to(dtype).requires_grad_()
    pull = torch.randn(6, 3, 5, 5, generator=random, dtype=torch.float64).to(dtype)
    norm = NORMS[name]().to(dtype)
    with share_networks((images,)):
        made = norm(norm(images).view_as(images)).view_as(images)
    (made * pull).sum().backward()
    ranks.average_gradients(norm)
    assert images.grad is not None
    found = {"made": made.detach(), "gradient images": images.grad, **norm.state_dict()}
    return found | {f"gradient {name}": p.grad for name, p in norm.named_parameters()}


class Failing(nn.Module):
    """A network that notes how many images it is given, and fails."""

    images = 0

    def forward(self, images: Tensor) -> Tensor:
        """Never more than a beginning."""
        self.images = len(images)
        raise ArithmeticError


def of_failed_network() -> dict[str, Tensor]:
    """What a network that failed was given, and what is left of it in the network and in a batch norm."""
    network, norm = Failing(), nn.BatchNorm2d(1, momentum=1.0)
    failed = False
    try:
        with share_networks((torch.zeros(4, 1, 2, 2),)):
            network(torch.zeros(4, 1, 2, 2))
    except ArithmeticError:
        failed = True
    norm(torch.arange(4.0).view(4, 1, 1, 1) + torch.zeros(4, 1, 2, 2))
    return {
        "images": torch.tensor(network.images),
        "failed": torch.tensor(failed),
        "hooks": torch.tensor(len(network._forward_hooks)),
        "mean": norm.running_mean,
    }


def stepped(student: nn.Module, scheme: Scheme, terms: Sequence[Any]) -> dict[str, Tensor]:
    """The losses, all gradients, and all that the step changed without one."""
    torch.manual_seed(0)
    trained = nn.ModuleDict({"student": student.train(), "companions": scheme.companions.train()})
    batch = seen()
    with share_networks(batch.inputs):
        lessons = scheme.lessons(student, batch)
    loss, values = compute_lessons(terms, lessons, batch.epoch)
    loss.backward()
    ranks.average_gradients(trained)
    found = {f"part {key}": value for key, value in values.shown.items()}
    for name, parameter in trained.named_parameters():
        if parameter.grad is not None:
            found[f"gradient {name}"] = parameter.grad
    found |= {f"buffer {name}": buffer for name, buffer in trained.named_buffers()}
    return {"loss": loss.detach(), **found, "chance": torch.rand(4)}
