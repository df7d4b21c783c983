"""The training loop beside a minimal one, and both beside what the device can do: matrix products and copies.

For a ResNet-50 and a ViT-S student of a ViT-L teacher, its answers stored and live, in bf16 and channels last: samples a
second of each loop (they take turns; median, least and most), their ratio, and the share of the measured FLOP/s of a
matrix product that edgekd's loop reaches (a step is three forward passes of the student and, live, one of the teacher).
Then what bf16 and channels last gain over fp32 and channels first, and how fast views are begun by one thread of the
processor and finished by the device.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import cases
import numpy as np
import torch
from cases import Net
from torch.nn import functional as F

from edgekd.cores import count_cores
from edgekd.learn import arithmetic
from edgekd.learn.data.loader import Samples
from edgekd.learn.method import teacher as finished
from edgekd.learn.settings import Arithmetic
from edgekd.learn.view_settings import Affine
from edgekd.learn.view_settings import Views

TURNS = 3


def measure_roofline(tiny: bool) -> dict[str, float]:
    """FLOP/s of a bf16 and an fp32 matrix product, and bytes/s of a copy, read and written."""
    device, side = arithmetic.choose_device(), 256 if tiny else 8192
    found = {}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
        found[f"{name}_flops"] = 2 * side**3 / _seconds(lambda a=a, b=b: a @ b)
    source = torch.randn(2**20 if tiny else 2**30, device=device)
    goal = torch.empty_like(source)
    found["copy_bytes_per_s"] = 2 * source.nbytes / _seconds(lambda: goal.copy_(source))
    return found


def _seconds(work: Callable[[], object], repeats: int = 10) -> float:
    for _ in range(3):
        work()
    cases.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    cases.synchronize()
    return (time.perf_counter() - start) / repeats


def minimal_samples_per_s(
    net: Net, samples: Samples, teacher: torch.nn.Module | None, resolved: Arithmetic
) -> float:
    """The same work with nothing around it; pixels lie on the device and are augmented there."""
    torch.set_num_threads(resolved.threads)
    device = arithmetic.choose_device()
    layout = torch.channels_last if resolved.channels_last else torch.contiguous_format
    student = cases.build(net).to(device, memory_format=layout).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    images = torch.from_numpy(samples.rows["images"]).to(device)
    labels = torch.from_numpy(samples.rows["labels"]).to(device)
    stored = torch.randn(len(images), cases.CLASSES, device=device)
    dtype = arithmetic.AUTOCAST[resolved.precision]
    steps, start = len(images) // net.batch, 0.0
    order = torch.randperm(len(images), device=device)
    for number in range(steps):
        if number == cases.WARM:
            cases.synchronize()
            start = time.perf_counter()
        rows = order[number * net.batch : (number + 1) * net.batch]
        x = _augment(images[rows], net.size).contiguous(memory_format=layout)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            told = stored[rows]
            if teacher is not None:
                with torch.no_grad():
                    told = teacher(x).float()
            z = student(x).float()
        loss = 0.1 * F.cross_entropy(z, labels[rows]) + 0.9 * cases.TEMPERATURE**2 * F.kl_div(
            F.log_softmax(z / cases.TEMPERATURE, 1),
            F.log_softmax(told / cases.TEMPERATURE, 1),
            reduction="batchmean",
            log_target=True,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    cases.synchronize()
    return (steps - cases.WARM) * net.batch / (time.perf_counter() - start)


def _augment(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Flip, pad by 4 and cut, normalise: [B, H, W, C] of uint8 to [B, C, H, W]."""
    count, device = len(pixels), pixels.device
    x = F.pad(pixels, (0, 0, 4, 4, 4, 4))
    rows = torch.randint(0, 9, (count, 1), device=device) + torch.arange(size, device=device)
    columns = torch.randint(0, 9, (count, 1), device=device) + torch.arange(size, device=device)
    flips = torch.rand(count, 1, device=device) < 0.5
    columns = torch.where(flips, columns.flip(1), columns)
    each = torch.arange(count, device=device)[:, None, None]
    x = x[each, rows[:, :, None], columns[:, None, :]]
    return ((x.float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)


def measure_case(net: Net, teacher_net: Net, live: bool, peak: float, tiny: bool) -> dict[str, Any]:
    """One student, its teacher's answers stored or live."""
    cores = 1 if tiny else count_cores()
    resolved = Arithmetic(precision="bf16", channels_last=True, threads=cores)
    steps = cases.WARM + (4 if tiny else 20)
    samples = cases.make_samples(net, steps * net.batch)
    device = arithmetic.choose_device()
    teacher = cases.build(teacher_net, 1).to(device).eval() if live else None
    stored = torch.randn(1, len(samples), cases.CLASSES).numpy()
    teach = finished.read_teacher(stored)
    if teacher is not None:
        teach = finished.run_teacher(teacher, torch.bfloat16)
    workers = min(8, cores)
    loops: dict[str, Callable[[], float]] = {
        "edgekd": lambda: cases.train_samples_per_s(net, samples, teach, resolved, workers),
        "minimal": lambda: minimal_samples_per_s(net, samples, teacher, resolved),
    }
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(1 if tiny else TURNS):
        for name, loop in loops.items():
            speeds[name].append(loop())
    flops = 2 * (3 * cases.count_macs(net) + (cases.count_macs(teacher_net) if live else 0))
    row: dict[str, Any] = {
        f"{name}_samples_per_s": [statistics.median(each), min(each), max(each)]
        for name, each in speeds.items()
    }
    ratios = [a / b for a, b in zip(speeds["edgekd"], speeds["minimal"], strict=True)]
    row["ratio"] = [statistics.median(ratios), min(ratios), max(ratios)]
    row["share_of_matmul"] = flops * statistics.median(speeds["edgekd"]) / peak
    row["share_of_matmul_minimal"] = flops * statistics.median(speeds["minimal"]) / peak
    return row


def measure_bf16(net: Net, bf16_samples_per_s: float, tiny: bool) -> dict[str, float]:
    """edgekd's loop in fp32 and channels first, its answers stored, and how many times as fast bf16 was."""
    cores = 1 if tiny else count_cores()
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=cores)
    samples = cases.make_samples(net, (cases.WARM + (4 if tiny else 10)) * net.batch)
    teach = finished.read_teacher(torch.randn(1, len(samples), cases.CLASSES).numpy())
    speed = cases.train_samples_per_s(net, samples, teach, resolved, min(8, cores))
    return {"fp32_samples_per_s": speed, "bf16_ratio": bf16_samples_per_s / speed}


def measure_views(net: Net) -> dict[str, float]:
    """Samples a second of each half of a batch's views, mirrored, cropped, turned and erased."""
    words = Views(flip=True, crop=4, affine=Affine(degrees=10), erase=0.5)
    samples = dataclasses.replace(cases.make_samples(net, net.batch), views=words)
    rows, device = np.arange(net.batch), arithmetic.choose_device()
    (pending,) = samples.batch(rows, 0, is_pending=True).inputs
    begin_s = _seconds(lambda: samples.batch(rows, 0, is_pending=True))
    finish_s = _seconds(lambda: pending.finish(device))
    return {
        "begun_samples_per_s": net.batch / begin_s,
        "finished_samples_per_s": net.batch / finish_s,
    }


def main() -> None:
    options = cases.parse_options(__doc__)
    end = time.monotonic() + options.seconds
    roofline = measure_roofline(options.tiny)
    found: dict[str, Any] = {"roofline": roofline, "cases": {}}
    cases.write(options.output, found)
    students, teacher = cases.networks(options.tiny)
    longest = 0.0
    for live in (False, True):
        for name, net in students.items():
            case = f"{name}, {'live' if live else 'stored'}"
            start = time.monotonic()
            if end - start < longest:
                found["cases"][case] = {"not measured": "no time was left"}
                continue
            try:
                row = measure_case(net, teacher, live, roofline["bf16_flops"], options.tiny)
            except (RuntimeError, ValueError) as error:
                row = {"not measured": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
            found["cases"][case] = row
            longest = max(longest, time.monotonic() - start)
            cases.write(options.output, found)
    net, timed = students["ResNet-50"], found["cases"]["ResNet-50, stored"]
    asked: dict[str, Callable[[], dict[str, float]]] = {
        "views": lambda: measure_views(net),
        "bf16": lambda: measure_bf16(net, timed["edgekd_samples_per_s"][0], options.tiny),
    }
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except (RuntimeError, ValueError, KeyError) as error:
            found[name] = {"not measured": f"{type(error).__name__}: {error}"[:300]}
        cases.write(options.output, found)


if __name__ == "__main__":
    main()
