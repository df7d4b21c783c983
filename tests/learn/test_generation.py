"""Texts that a model goes on with: place by place, by hashed numbers, whatever stands beside them in a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekd.learn.generation import Draws
from edgekd.learn.generation import Sampling
from edgekd.learn.generation import begin_answer
from edgekd.learn.generation import choose_tokens
from edgekd.learn.generation import continue_texts
from edgekd.learn.models.text_decoder import text_decoder

GREEDY = Sampling(temperature=0)


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return text_decoder(vocabulary=11, longest=8, layers=1, width=8, heads=2).eval()


def prompts(count: int, length: int) -> Tensor:
    return torch.full((count,), length)


def draws(*indices: int, number: int = 0) -> Draws:
    return Draws(5, np.array(indices, np.int64), number)


def texts() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(1, 11, (3, 8), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 8, dtype=torch.int64)
    mask[1, 5:] = 0
    return tokens.masked_fill(mask == 0, 0), mask


def test_greedy_is_the_likeliest_after_all_that_was_said() -> None:
    network, (tokens, mask) = model(), texts()
    said, following, _ = continue_texts(
        network, tokens, mask, prompts(3, 3), draws(0, 1, 2), GREEDY
    )
    assert torch.equal(said[:, :3], tokens[:, :3])
    assert torch.equal(said[1, 5:], tokens[1, 5:])
    with torch.no_grad():
        best = network(said, mask).argmax(2)
    for row, length in enumerate(mask.sum(1).tolist()):
        assert torch.equal(said[row, 3:length], best[row, 2 : length - 1])
        assert torch.equal(following[row, 2:length], best[row, 2:length])


def test_a_text_is_drawn_alike_alone_and_among_others() -> None:
    network, (tokens, mask) = model(), texts()
    many, *_ = continue_texts(network, tokens, mask, prompts(3, 2), draws(4, 9, 2))
    for row, index in enumerate((4, 9, 2)):
        alone = slice(row, row + 1)
        one, *_ = continue_texts(network, tokens[alone], mask[alone], prompts(1, 2), draws(index))
        assert torch.equal(one[0], many[row])
    other, *_ = continue_texts(network, tokens, mask, prompts(3, 2), draws(4, 9, 2, number=1))
    assert not torch.equal(other, many)


def test_tokens_come_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, -3.0]])
    uniform = (np.arange(4000) + 0.5) / 4000
    for sampling in (Sampling(1.0), Sampling(2.0), Sampling(1.0, top=2)):
        chosen = choose_tokens(logits.expand(4000, 4), uniform, sampling)
        want = torch.softmax(logits[0] / sampling.temperature, 0)
        if sampling.top:
            want[[1, 3]] = 0
            want = want / want.sum()
        got = torch.bincount(chosen, minlength=4) / 4000
        torch.testing.assert_close(got, want, atol=1e-3, rtol=0)


def test_a_number_just_below_one_is_still_a_token() -> None:
    logits = torch.zeros(1, 3)
    assert int(choose_tokens(logits, np.array([1 - 2.0**-53]))) in (0, 1, 2)


def test_without_a_prompt_there_is_nothing_to_go_on_from() -> None:
    with pytest.raises(ValueError, match="want at least 1"):
        continue_texts(model(), *texts(), prompts(3, 0), draws(0, 1, 2))


def test_with_a_cache_the_same_is_said_and_each_token_is_read_once() -> None:
    network, (tokens, mask) = model(), texts()
    read: list[int] = []
    network.words.register_forward_hook(lambda _, given, made: read.append(given[0].shape[1]))  # type: ignore[union-attr, operator]
    want, *_ = continue_texts(network, tokens, mask, prompts(3, 3), draws(0, 1, 2))
    assert sum(read) == sum(range(3, 9))
    read.clear()
    got, *_ = continue_texts(begin_answer(network), tokens, mask, prompts(3, 3), draws(0, 1, 2))
    assert read == [3, 1, 1, 1, 1, 1]
    assert torch.equal(got, want)


def test_each_place_has_a_number_of_its_own() -> None:
    """Where all tokens are alike, what is drawn shows the numbers themselves."""
    tokens, mask = torch.ones(1, 64, dtype=torch.int64), torch.ones(1, 64, dtype=torch.int64)
    flat = lambda seen, _: torch.zeros(1, 1, 11)  # noqa: E731
    said, *_ = continue_texts(flat, tokens, mask, prompts(1, 1), draws(0))
    assert len(set(said[0, 1:].tolist())) == 11


def test_each_text_goes_on_behind_its_own_prompt_up_to_the_token_that_ends_it() -> None:
    network, (tokens, mask) = model(), texts()
    own = torch.tensor([2, 4, 5])
    free, *_ = continue_texts(network, tokens, mask, own, draws(0, 1, 2))
    for row, prompt in enumerate(own.tolist()):
        alone = slice(row, row + 1)
        one, *_ = continue_texts(network, tokens[alone], mask[alone], own[alone], draws(row))
        assert torch.equal(one[0], free[row])
        assert torch.equal(free[row, :prompt], tokens[row, :prompt])
    end = int(free[0, 4])
    assert end not in free[0, 2:4].tolist()
    said, following, left = continue_texts(
        begin_answer(network), tokens, mask, own, draws(0, 1, 2), end=end
    )
    assert torch.equal(said[0, :4], free[0, :4])
    assert int(following[0, 3]) == end and left[0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert left[1].sum() <= mask[1].sum()
