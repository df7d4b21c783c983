"""How fast a large teacher answers views for the store, in bf16: samples a second, and beside its forward passes alone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import cases
import torch

from edgekd.cores import count_cores
from edgekd.learn import arithmetic
from edgekd.learn import teacher_answers
from edgekd.learn.settings import Arithmetic
from edgekd.progress import Silent


def main() -> None:
    options = cases.parse_options(__doc__)
    _, net = cases.networks(options.tiny)
    count = net.batch * (4 if options.tiny else 12)
    samples, device = cases.make_samples(net, count), arithmetic.choose_device()
    teacher = cases.build(net).to(device).eval()
    resolved = Arithmetic(
        precision="bf16", channels_last=True, threads=1 if options.tiny else count_cores()
    )
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("warm", "samples_per_s"):
            start = time.perf_counter()
            teacher_answers.write_knowledge(
                teacher, samples, Path(folder) / name, resolved, Silent()
            )
            found[name] = count / (time.perf_counter() - start)
    cases.write(options.output, found)
    images = torch.randn(net.batch, 3, net.size, net.size, device=device)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
        for _ in range(2):
            teacher(images)
        cases.synchronize()
        start = time.perf_counter()
        for _ in range(count // net.batch):
            teacher(images)
        cases.synchronize()
    found["forward_samples_per_s"] = count / (time.perf_counter() - start)
    found["ratio"] = found["samples_per_s"] / found["forward_samples_per_s"]
    cases.write(options.output, found)


if __name__ == "__main__":
    main()
