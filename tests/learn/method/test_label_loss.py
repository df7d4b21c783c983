"""What labels teach of each kind of output, and of several their sum; a classifier's is cross-entropy itself."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.interface import image_classifier
from edgekd.learn.method.label_loss import label_loss

IMAGES = (Tensor("images", "float32", ("batch", 3, 4, 4)),)
TAGS = Tensor("tags", "float32", ("batch", 3), "logits", target="present")
MAP = Tensor("map", "float32", ("batch", 3, 4, 4), "logits", 0, 1, "maps")
NUMBERS = Tensor("numbers", "float32", ("batch", 2), target="measured")
EXTRA = Tensor("extra", "float32", ("batch", 2))


def test_of_a_classifier_it_is_cross_entropy_to_the_last_bit() -> None:
    logits, labels = torch.randn(8, 5), torch.randint(5, (8,))
    ends = image_classifier(classes=5, channels=1, height=2, width=2)
    assert torch.equal(
        label_loss((logits,), {"labels": labels}, ends), F.cross_entropy(logits, labels)
    )


def test_of_several_outputs_it_is_the_sum() -> None:
    tags, dense, numbers = torch.randn(4, 3), torch.randn(4, 3, 4, 4), torch.randn(4, 2)
    targets = {
        "present": torch.randint(2, (4, 3)).to(torch.uint8),
        "maps": torch.randint(3, (4, 4, 4)),
        "measured": torch.randn(4, 2),
    }
    targets["maps"][:, 0] = 255
    got = label_loss(
        (tags, dense, numbers, torch.randn(4, 2)),
        targets,
        Interface(IMAGES, (TAGS, MAP, NUMBERS, EXTRA)),
    )
    want = F.binary_cross_entropy_with_logits(tags, targets["present"].float())
    want = want + F.cross_entropy(dense, targets["maps"], ignore_index=255)
    torch.testing.assert_close(got, want + F.mse_loss(numbers, targets["measured"]))


def test_a_map_of_which_nothing_counts_gives_zero() -> None:
    dense = torch.randn(2, 3, 4, 4, requires_grad=True)
    ignored = {"maps": torch.full((2, 4, 4), 255)}
    got = label_loss((dense,), ignored, Interface(IMAGES, (MAP,)))
    got.backward()
    assert not got.detach().any() and dense.grad is not None


def test_without_any_target_it_is_refused() -> None:
    with pytest.raises(ValueError, match="got no output with a target"):
        label_loss((torch.zeros(2, 2),), {}, Interface(IMAGES, (EXTRA,)))
