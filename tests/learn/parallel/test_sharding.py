"""Two ranks that share out a network's parameters find what they find where each holds it whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

ROOT = Path(__file__).parents[3]
TEACHERS = ("vit", "resnet", "odd")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("sharded")
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    started = subprocess.run(
        [sys.executable, "-m", *launcher, "tests.learn.parallel.sharded_example", str(folder)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert started.returncode == 0, started.stdout[-4000:]
    return [load_file(folder / f"{rank}.safetensors") for rank in (0, 1)]


@pytest.mark.parametrize("name", TEACHERS)
def test_answers_and_layers_of_a_shared_out_teacher_are_the_same_bytes(
    found: list[dict[str, Tensor]], name: str
) -> None:
    for rank in found:
        for what in ("answers", "layer"):
            whole = rank[f"{name}/whole {what}"]
            assert float(whole.std()) > 0
            assert torch.equal(rank[f"{name}/sharded {what}"], whole)
        assert rank[f"{name}/sharded is sharded"] and not rank[f"{name}/whole is sharded"]
        assert torch.equal(rank[f"{name}/chance"], torch.rand(3, generator=seeded(3)))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", TEACHERS)
def test_a_rank_holds_its_share(found: list[dict[str, Tensor]], name: str) -> None:
    whole = int(found[0][f"{name}/whole bytes"])
    for rank in found:
        assert int(rank[f"{name}/sharded bytes"]) < whole * 0.6
        assert bool(rank[f"{name}/sharded was built whole"]) == (name == "odd")


def test_a_store_filled_by_unequally_many_shards_is_what_one_fills_alone(
    found: list[dict[str, Tensor]],
) -> None:
    first, second = found
    assert torch.equal(first["fill/together"], first["fill/alone"])
    shards = int(first["fill/alone"][1]) - 1  # beside the manifest
    assert shards == 3 and int(second["fill/together"][1]) == 0


def of_run(rank: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    start = f"training/{name}: "
    return {key.removeprefix(start): t for key, t in rank.items() if key.startswith(start)}


def test_a_shared_out_student_learns_what_it_learns_whole(found: list[dict[str, Tensor]]) -> None:
    first, second = found
    whole, sharded = of_run(first, "whole"), of_run(first, "sharded")
    assert sharded.keys() == whole.keys() and sum("kept optimizer" in key for key in whole) > 20
    assert whole["history"].shape[0] == 4 and any("passed 1/" in key for key in whole)
    for name in whole.keys() - {"scored"}:
        torch.testing.assert_close(sharded[name], whole[name], rtol=1e-5, atol=1e-5, msg=name)
    for name, value in of_run(second, "sharded").items():
        assert torch.equal(value, sharded[name]), name
    assert sharded["plain"] and of_run(second, "sharded")["plain"]
    assert int(of_run(second, "whole")["scored"]) == 0  # a shared out network needs all ranks
    assert int(of_run(second, "sharded")["scored"]) == int(sharded["scored"]) == 4


@pytest.mark.parametrize("name", ["sharded then whole", "whole then sharded"])
def test_a_killed_run_goes_on_in_the_other_way(found: list[dict[str, Tensor]], name: str) -> None:
    for rank in found:
        whole, other = of_run(rank, "whole"), of_run(rank, name)
        assert int(of_run(found[0], name)["scored"]) == 3  # the first epoch was over
        for key in whole.keys() - {"scored"}:
            torch.testing.assert_close(other[key], whole[key], rtol=1e-5, atol=1e-5, msg=key)
