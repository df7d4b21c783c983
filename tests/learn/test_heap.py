"""Memory freed inside stays with the process, and goes back to the system afterwards."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from torch import Tensor
from torch import nn

from edgekd.learn import heap
from edgekd.learn import teacher_answers
from edgekd.learn.data.loader import Samples
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from tests import data_example

is_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
PASSES = """
import json, resource
from edgekd.learn import heap

def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

def make_pass():
    before = page_faults()
    block = bytearray(40 << 20)
    return page_faults() - before

free = min(make_pass() for _ in range(3))
with heap.keep_freed_memory():
    with heap.keep_freed_memory():
        make_pass()
    kept, inside = max(make_pass() for _ in range(3)), resident_mib()
print(json.dumps([free, kept, make_pass(), inside - resident_mib()]))
"""


class Passes(NamedTuple):
    """Page faults of a pass that takes and frees 40 MiB."""

    free: int
    kept: int
    later: int
    given_back_mib: int


def make_passes(**variables: str) -> Passes:
    done = subprocess.run(
        [sys.executable, "-c", PASSES],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return Passes(*json.loads(done.stdout))


@is_glibc
def test_kept_memory_is_not_asked_for_again_and_goes_back_at_the_end() -> None:
    passes = make_passes()
    assert passes.kept < passes.free / 10
    assert passes.later > passes.free / 2
    assert passes.given_back_mib >= 35


@is_glibc
@pytest.mark.parametrize(
    "variables",
    [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=65536"}],
)
def test_what_a_user_says_of_the_heap_stands(variables: dict[str, str]) -> None:
    passes = make_passes(**variables)
    assert passes.kept > passes.free / 2


class Network(nn.Module):
    """Notes its passes."""

    def __init__(self, events: list[str]) -> None:
        super().__init__()
        self.fc, self.events = nn.Linear(6, 3), events

    def forward(self, images: Tensor) -> Tensor:
        self.events.append("pass")
        logits: Tensor = self.fc(images.flatten(1))
        return logits


PLAIN = Arithmetic(precision="fp32", channels_last=False, threads=1)


def samples() -> Samples:
    random = np.random.default_rng(0)
    return data_example.samples(
        images=random.integers(0, 256, (4, 3, 2, 1), dtype=np.uint8),
        labels=np.arange(4) % 3,
        classes=3,
        image=data_example.image(3, 2),
        views=Views(count=1),
        seed=0,
    )


def learn(model: nn.Module, folder: Path) -> None:
    run = TrainingRun(
        model=model,
        samples=samples(),
        terms=bind_terms(data_example.LABELS_ALONE),
        scheme=learn_from_labels(),
        training=Training(epochs=1, batch_size=4),
        resolved=PLAIN,
        seed=0,
        checkpoints=folder,
        progress=Silent(),
        score=None,
    )
    fit(run)


def write_array(model: nn.Module, folder: Path) -> None:
    teacher_answers.write_knowledge(model, samples(), folder / "k.npy", PLAIN, Silent())


def fill_shards(model: nn.Module, folder: Path) -> None:
    settings = KnowledgeSettings()
    teacher_answers.fill_knowledge(model, samples(), settings, {}, folder, PLAIN, Silent())


@pytest.mark.parametrize("work", [learn, write_array, fill_shards])
def test_who_runs_a_network_again_and_again_keeps_memory(
    work: Callable[[nn.Module, Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    @contextmanager
    def note() -> Iterator[None]:
        events.append("kept")
        yield
        events.append("given back")

    monkeypatch.setattr(heap, "keep_freed_memory", note)
    work(Network(events), tmp_path)
    assert (events[0], events[1], events[-1]) == ("kept", "pass", "given back")
