from __future__ import annotations

import json
from typing import Any

import pytest

from edgekd.bench.machine import fingerprint
from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices import local
from edgekd.errors import MachineError


def telling(**changed: object) -> Device:
    """A device whose worker tells what this machine's tells, but for what is changed."""

    def run(order: WorkerJob) -> WorkerExit:
        ended = local.run(order)
        *before, last = ended.stdout.splitlines()
        said = json.loads(last)
        said["result"] |= changed
        return ended._replace(stdout=b"\n".join([*before, json.dumps(said).encode()]))

    return Device("board", run)


def test_a_worker_tells_what_looking_directly_finds() -> None:
    here, there = host.describe_host(local.DEVICE), host.describe_host(telling())
    assert (there.key, there.facts, there.versions) == (here.key, here.facts, here.versions)
    assert there.missing == here.missing and there.name == "board"
    assert there.idle == here.idle
    assert here.key == fingerprint.machine_key() and here.emulated is None


def test_an_emulated_device_says_so_and_has_another_key() -> None:
    facts = {**fingerprint.collect_host_facts(), "emulated": "qemu-user"}
    there = host.describe_host(telling(facts=facts))
    assert there.emulated == "qemu-user" and there.key != fingerprint.machine_key()


def test_an_engine_that_runs_nothing_there_is_unable_and_not_missing() -> None:
    missing = {"onnxruntime": None, "openvino": "is not installed", "tensorrt": None}
    idle = {"onnxruntime": None, "tensorrt": "no CUDA device"}
    there = host.describe_host(telling(missing=missing, idle=idle))
    assert there.missing == missing
    assert there.unable == {**missing, "tensorrt": "no CUDA device"}


def test_what_is_no_account_is_refused() -> None:
    with pytest.raises(MachineError, match="site: the worker.s answer: got .versions."):
        host.describe_host(telling(versions=["onnxruntime"]))


@pytest.mark.parametrize(
    ("facts", "threads"),
    [
        ({"cores_allowed": 4, "cores": 8}, 4),
        ({"cores_allowed": 4, "quota_cores": None}, 4),
        ({"cores_allowed": 4, "quota_cores": 2.5}, 2),
        ({"cores_allowed": 4, "quota_cores": 0.2}, 1),
        ({"cores": 2, "quota_cores": 16.0}, 2),
        ({}, 1),
    ],
)
def test_threads_that_can_run_at_once(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], threads: int
) -> None:
    there = host.Host("board", "k", facts, {}, {}, {})
    monkeypatch.setattr(host, "describe_host", lambda device: there)
    assert host.max_threads() == threads
