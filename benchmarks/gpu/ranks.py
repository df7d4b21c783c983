"""Two ranks of torchrun train one student; on one GPU they speak gloo, for NCCL refuses two ranks on one device."""

from __future__ import annotations

import cases
import torch
from torch import distributed

from edgekd.cores import count_cores
from edgekd.learn.method import teacher as finished
from edgekd.learn.parallel import ranks
from edgekd.learn.settings import Arithmetic


def main() -> None:
    options = cases.parse_options(__doc__)
    students, _ = cases.networks(options.tiny)
    net = students["ResNet-50"]
    samples = cases.make_samples(net, net.batch * (cases.WARM + (4 if options.tiny else 10)))
    stored = torch.randn(1, len(samples), cases.CLASSES, generator=torch.Generator().manual_seed(0))
    cores = max(1, count_cores() // 2)
    resolved = Arithmetic(precision="bf16", channels_last=True, threads=cores)
    teach = finished.read_teacher(stored.numpy())
    speed = cases.train_samples_per_s(net, samples, teach, resolved, workers=cores)
    if not ranks.rank():
        devices = torch.cuda.device_count()
        about = {"ranks": ranks.count(), "devices": devices, "backend": distributed.get_backend()}
        if devices < 2:
            about["nccl"] = {"not measured": f"two ranks need two GPUs, got {devices}"}
        cases.write(options.output, about | {"samples_per_s": speed})


if __name__ == "__main__":
    main()
