"""Two ranks of torchrun learn what one process learns, to the last digits that sums in another order leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from edgekd.learn.parallel import exchange
from edgekd.learn.parallel import ranks
from tests.learn.parallel import ranks_steps_example as example

ROOT = Path(__file__).parents[3]
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
Found = dict[str, Tensor]
OWN = {"scored", "shown", "images"}
"""What a rank tells of itself."""


class Both:
    """What one process found, and what each of two ranks did."""

    def __init__(self, folder: Path) -> None:
        self.alone = load_file(folder / "0-of-1.safetensors")
        self.ranks = [load_file(folder / f"{rank}-of-2.safetensors") for rank in (0, 1)]

    def of(self, what: str) -> tuple[Found, list[Found]]:
        """The part of that name of each."""
        start = f"{what}/"
        alone, *others = (
            {name.removeprefix(start): t for name, t in found.items() if name.startswith(start)}
            for found in (self.alone, *self.ranks)
        )
        assert alone
        return alone, others


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("ranks")
    settings = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *start, "tests.learn.parallel.ranks_example", str(folder)],
            cwd=ROOT,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for start in ([], TORCHRUN)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    for process, text in zip(started, said, strict=True):
        assert process.returncode == 0, text[-4000:]
    return Both(folder)


def assert_close(found: Found, wanted: Found, tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(
            found[name],
            tensor,
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text, n=name: f"{n}: {text}",
        )


@pytest.mark.parametrize("name", ["dropout", "watched", *example.LOSS_NAMES, *example.SCHEMES])
def test_losses_gradients_statistics_and_chance_of_a_step(both: Both, name: str) -> None:
    alone, others = both.of(f"step {name}")
    assert sum(key.startswith("gradient student") for key in alone) > 20
    assert sum("running_var" in key for key in alone) > 5
    for found in others:
        assert_close(found, alone, 1e-10)


@pytest.mark.parametrize(("name", "share"), [("dropout", 2), ("watched", 1)])
def test_a_network_is_shared_out_where_no_stranger_looks_into_it(
    both: Both, name: str, share: int
) -> None:
    alone, others = both.of(f"images {name}")
    assert [int(found["count"]) for found in others] == [int(alone["count"]) // share] * 2


@pytest.mark.parametrize("name", example.NORMS)
def test_batch_norm_is_that_of_the_whole_batch(both: Both, name: str) -> None:
    alone, others = both.of(f"norm {name}")
    for found in others:
        assert_close(found, alone, 2e-6)


def test_a_network_that_fails_leaves_nothing_behind(both: Both) -> None:
    alone, others = both.of("failed network")
    assert int(alone["images"]) == 4 and alone["failed"]
    for found in others:
        assert int(found["images"]) == 2 and found["failed"]
        assert torch.equal(found["mean"], alone["mean"])
        assert int(found["hooks"]) == int(alone["hooks"]) == 0


def test_a_run_ends_with_the_same_weights_and_history(both: Both) -> None:
    alone, others = both.of("run")
    for found in others:
        for name in set(alone) - OWN:
            torch.testing.assert_close(found[name], alone[name], rtol=1e-5, atol=1e-5)


def test_a_killed_run_goes_on_to_the_same_bytes_on_all_ranks(both: Both) -> None:
    whole, killed = both.of("run")[1], both.of("killed run")[1]
    for name in set(whole[0]) - OWN:
        for found in (*whole, *killed):
            assert torch.equal(found[name], whole[0][name]), name
    assert int(killed[0]["scored"]) == 1  # the first epoch was over when it was struck


def test_only_the_first_rank_scores_and_shows_and_both_take_a_share(both: Both) -> None:
    alone, (first, second) = both.of("run")
    assert int(first["images"]) == int(second["images"]) == int(alone["images"]) // 2
    assert int(first["scored"]) == 2
    assert int(first["shown"]) >= 1
    assert int(second["scored"]) == int(second["shown"]) == 0


def test_a_batch_that_ranks_cannot_share_is_refused(both: Both) -> None:
    alone, others = both.of("odd batch")
    assert not alone["refused"]
    assert all(bool(found["refused"]) for found in others)


def test_without_torchrun_there_is_one_rank() -> None:
    ranks.require_even_batch(7)
    ranks.wait_for_all()
    assert (ranks.count(), ranks.rank()) == (1, 0)
    assert ranks.run_on_first(lambda: 0.25) == 0.25
    assert ranks.read_on_first(lambda: b"found") == b"found"


def test_ranks_prepare_a_share_of_each_batch_and_see_all_of_it(both: Both) -> None:
    alone, others = both.of("batches")
    for found in others:
        for name in ("inputs", "labels", "indices"):
            assert torch.equal(found[name], alone[name]), name
        assert int(found["prepared"]) == int(alone["prepared"]) // 2


def test_what_ranks_tell_one_another(both: Both) -> None:
    alone, others = both.of("together")
    assert alone["rows"].tolist() == [[0, 0]] * 3
    assert not alone["refused"]
    for found in others:
        assert found["weights"].tolist() == [[1, 1]] * 3  # as the first began
        assert found["rows"].tolist() == [[0, 0]] * 3 + [[1, 1]]
        assert found["read"] and found["nothing"] and found["refused"]
        assert int(found["alone"]) == 1
        assert int(found["exchanges"]) == int(exchange.is_possible())
