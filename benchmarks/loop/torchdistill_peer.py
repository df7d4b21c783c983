"""One epoch of the benchmark's distillation through torchdistill's own DistillationBox.

    pip install --no-deps torchdistill==1.1.5

The measured loop is torchdistill's own code, as a user gets it: its data loader set-up, box, KDLoss,
WeightedSumLoss and MetricLogger, called as its example `examples/torchvision/image_classification.py`
calls them (source: github.com/yoshitomo-matsubara/torchdistill), in fp32 and NCHW. The configuration
is its sample `configs/sample/cifar10/kd` with the weights, the optimizer and the transforms of this
benchmark. Left out: validation and the checkpoint after the epoch, and the writing of log lines
(they are put together, but its root logger stays at the level it has).

torchdistill imports torchvision, for datasets and model definitions that this loop does not use.
Where no torchvision can be imported, empty stand-ins take its place while torchdistill is imported
and are taken away again. Nothing of the measured loop is a stand-in: the dataset and its transforms
(torchvision's RandomCrop, RandomHorizontalFlip, ToTensor, Normalize; here the same on tensors, sample
by sample) are always those below, with or without torchvision.

`init_distributed_mode`, the call of the example that replaces `builtins.print` in a distributed run,
is not made.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING
from typing import Any

import torch
import torchdistill
from torch import Tensor
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from torch.utils.data import RandomSampler

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples

VERSION = torchdistill.__version__
CPU = torch.device("cpu")
LOG_EVERY_BATCHES = 100
STAND_INS: dict[str, tuple[str, ...]] = {
    "torchvision": (),
    "torchvision.datasets": (),
    "torchvision.models": (),
    "torchvision.models.densenet": ("_DenseBlock", "_Transition"),
    "torchvision.models.resnet": ("BasicBlock", "conv1x1"),
}


@contextlib.contextmanager
def torchvision_or_stand_ins() -> Iterator[None]:
    """A real torchvision if one can be imported; if not, names alone, for as long as this lasts."""
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError):  # built for another torch: RuntimeError or OSError
        _forget_torchvision()
    else:
        yield
        return
    for name, members in STAND_INS.items():
        module = ModuleType(name)
        for member in members:
            setattr(module, member, type(member, (nn.Module,), {}))
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        yield
    finally:
        _forget_torchvision()


def _forget_torchvision() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


with torchvision_or_stand_ins():
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.misc.log import MetricLogger
    from torchdistill.misc.log import SmoothedValue


class Images(Dataset[tuple[Tensor, int]]):
    """Samples one by one: black border and crop, flip, to float, normalised; [C, H, W] and class."""

    def __init__(self, samples: Samples) -> None:
        self.images = torch.from_numpy(samples.rows["images"]).permute(0, 3, 1, 2).contiguous()
        self.labels = samples.labels.tolist()
        self.views = samples.views
        self.mean = torch.tensor(samples.image.mean)[:, None, None]
        self.std = torch.tensor(samples.image.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        if self.views.crop:
            image = _cropped(image, self.views.crop)
        if self.views.flip and torch.rand(1).item() < 0.5:
            image = image.flip(-1)
        image = image.float().div_(255).sub_(self.mean).div_(self.std)
        return image, self.labels[index]


def _cropped(image: Tensor, border: int) -> Tensor:
    height, width = image.shape[-2:]
    top, left = torch.randint(0, 2 * border + 1, (2,)).tolist()
    return F.pad(image, (border,) * 4)[:, top : top + height, left : left + width]


def configuration(batch_size: int, workers: int) -> dict[str, Any]:
    """One stage of torchdistill; made anew for each box, which writes into it."""
    kd = {
        "key": "KDLoss",
        "kwargs": {
            "student_module_path": ".",
            "student_module_io": "output",
            "teacher_module_path": ".",
            "teacher_module_io": "output",
            "temperature": 4.0,
            "alpha": 0.1,  # the weight of cross-entropy; 1 - alpha is that of kd
            "reduction": "batchmean",
        },
    }
    sgd = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    return {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler, "kwargs": {}},
            "kwargs": {"batch_size": batch_size, "num_workers": workers, "drop_last": True},
        },
        "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": sgd},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {"sub_terms": {"kd": {"criterion": kd, "weight": 1.0}}},
        },
    }


def loop(
    samples: Samples,
    student: nn.Module,
    teacher: nn.Module,
    batch_size: int,
    threads: int,
    *,
    workers: int = 0,
) -> float:
    """Images a second of one epoch's whole batches, set-up of the box left out.

    The teacher is used in the mode it comes in: torchdistill sets none (see `teacher_drift`).
    `workers` are the data loader's processes, beside `threads` in this one.
    """
    torch.set_num_threads(threads)
    dataset = {"train": Images(samples)}
    config = configuration(batch_size, workers)
    box = get_distillation_box(teacher, student, dataset, config, CPU, None, False, 1)
    start = time.perf_counter()
    box.pre_epoch_process(epoch=0)
    images = _train_one_epoch(box)
    box.post_epoch_process()
    seconds = time.perf_counter() - start
    box.clean_modules()
    return images / seconds


def _train_one_epoch(box: Any) -> int:
    """The example's loop over the batches; the number of images seen."""
    logger = MetricLogger(delimiter="  ")
    logger.add_meter("lr", SmoothedValue(window_size=1, fmt="{value}"))
    logger.add_meter("img/s", SmoothedValue(window_size=10, fmt="{value}"))
    images = 0
    for batch, targets, extra in logger.log_every(
        box.train_data_loader, LOG_EVERY_BATCHES, "Epoch: [0]"
    ):
        start = time.time()
        batch, targets = batch.to(CPU), targets.to(CPU)
        box.pre_forward_process()
        loss = box.forward_process(batch, targets, extra)
        box.post_forward_process(loss=loss)
        logger.update(loss=loss.item(), lr=box.optimizer.param_groups[0]["lr"])
        logger.meters["img/s"].update(len(batch) / (time.time() - start))
        if torch.isnan(loss) or torch.isinf(loss):
            raise ValueError(f"torchdistill: got loss {loss.item()}, want a finite one")
        images += len(batch)
    return images


def teacher_drift(
    samples: Samples, student: nn.Module, teacher: nn.Module, batch_size: int, threads: int
) -> float:
    """How far the teacher's BatchNorm statistics move while it teaches one epoch of `loop`.

    The largest change of a running mean, in standard deviations of its channel as they were before.
    0.0: the teacher was left alone. torchdistill puts only the student in a mode
    (`default_pre_epoch_process_with_teacher`), so a teacher that comes in training mode, as PyTorch
    builds it, stays in it. The teacher given is changed.
    """
    norms = [module for module in teacher.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [(norm.running_mean.clone(), norm.running_var.sqrt()) for norm in norms]
    loop(samples, student, teacher, batch_size, threads)
    moved = [
        float(((norm.running_mean - mean).abs() / spread).max())
        for norm, (mean, spread) in zip(norms, before, strict=True)
    ]
    return max(moved, default=0.0)
