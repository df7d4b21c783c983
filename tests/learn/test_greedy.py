"""The likeliest text, token after token."""

from __future__ import annotations

import torch

from edgekd.learn.greedy import write_greedy
from tests import decoder_example as example


def test_each_token_is_the_likeliest_behind_all_before() -> None:
    model, prompt = example.decoder(), [3, 1, 4]
    tokens, margins = write_greedy(model, prompt, 5)
    text = torch.tensor([prompt + tokens])
    with torch.no_grad():
        logits = model(text, torch.ones_like(text))[0]
    for at, (token, margin) in enumerate(zip(tokens, margins, strict=True), len(prompt) - 1):
        best = logits[at].topk(2)
        assert int(best.indices[0]) == token
        assert abs(float(best.values[0] - best.values[1]) - margin) < 1e-4
