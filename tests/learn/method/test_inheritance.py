"""Parameters as knowledge: what is copied from where, checked tensor by tensor."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgekd.learn.method.inheritance import AS_BUILT
from edgekd.learn.method.inheritance import inherit_layers
from edgekd.learn.method.inheritance import plan_inheritance
from edgekd.learn.method.inheritance import slice_leading
from edgekd.learn.method.inheritance import weight_distance
from edgekd.learn.models.mobilenetv2 import mobilenetv2
from edgekd.learn.models.resnet import resnet
from edgekd.learn.models.vit import vit

IMAGE = {"classes": 5, "channels": 3, "height": 16, "width": 16}


def trained(model: nn.Module, seed: int = 0) -> nn.Module:
    """As if: no tensor is as it was built, statistics of batch norms neither."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5)
            else:
                tensor.fill_(7)
    return model.eval()


def stack(blocks: int, dim: int = 2) -> nn.Module:
    return nn.Sequential(*(nn.Sequential(nn.Linear(dim, dim), nn.ReLU()) for _ in range(blocks)))


def test_the_same_network_inherits_all_of_itself() -> None:
    teacher, student = trained(resnet(**IMAGE, depth=14)), resnet(**IMAGE, depth=14).eval()
    found = inherit_layers(student, teacher, "same")
    images = torch.randn(2, 3, 16, 16)
    assert found == {name: name for name in teacher.state_dict()}
    assert torch.equal(student(images), teacher(images))
    assert int(student.bn1.num_batches_tracked) == 7


@pytest.mark.parametrize(
    ("few", "many", "want"),
    [
        (6, 12, [0, 2, 4, 7, 9, 11]),  # DistilBERT's
        (3, 5, [0, 2, 4]),
        (2, 9, [0, 8]),
        (1, 4, [0]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_blocks_are_spread_over_the_teacher_s(few: int, many: int, want: list[int]) -> None:
    student, teacher = stack(few), trained(stack(many))
    found = inherit_layers(student, teacher, "spread")
    assert [found[f"{i}.0.weight"] for i in range(few)] == [f"{i}.0.weight" for i in want]
    for own, theirs in enumerate(want):
        assert torch.equal(student[own][0].bias, teacher[theirs][0].bias)


def test_more_than_nine_blocks_are_counted_not_spelled() -> None:
    found = plan_inheritance(stack(2), stack(11), "spread")
    assert found["1.0.weight"] == "10.0.weight"


def test_stages_of_a_residual_network_each_keep_first_and_last() -> None:
    student, teacher = resnet(**IMAGE, depth=14), trained(resnet(**IMAGE, depth=32))
    found = inherit_layers(student, teacher, "spread")
    assert AS_BUILT not in found.values()
    for stage in ("layer1", "layer2", "layer3"):
        assert found[f"{stage}.0.conv1.weight"] == f"{stage}.0.conv1.weight"
        assert found[f"{stage}.1.bn2.running_var"] == f"{stage}.4.bn2.running_var"
        own, theirs = student.get_submodule(f"{stage}.1"), teacher.get_submodule(f"{stage}.4")
        assert torch.equal(own.bn2.running_var, theirs.bn2.running_var)


def test_layers_in_a_block_are_not_taken_for_blocks() -> None:
    student = mobilenetv2(**IMAGE, multiplier=0.25)
    found = plan_inheritance(student, mobilenetv2(**IMAGE, multiplier=0.5))
    assert found == {name: name for name in student.state_dict()}


def test_lists_of_several_kinds_and_named_children_keep_their_names() -> None:
    def layers(count: int) -> nn.Module:
        kinds = [kind for _ in range(count) for kind in (nn.Linear(2, 2), nn.BatchNorm1d(2))]
        return nn.ModuleDict({"mixed": nn.Sequential(*kinds)})

    def named(names: str) -> nn.Module:
        return nn.ModuleDict({name: nn.Linear(2, 2) for name in names})

    assert (
        plan_inheritance(layers(1), layers(2), "spread")["mixed.1.running_var"]
        == "mixed.1.running_var"
    )
    assert plan_inheritance(named("ab"), named("abc"), "spread")["b.weight"] == "b.weight"


def test_the_path_s_blocks_are_the_first_ones_where_nothing_is_spread() -> None:
    assert plan_inheritance(stack(2), stack(5), "same")["1.0.weight"] == "1.0.weight"


def test_a_deeper_student_keeps_what_the_teacher_has_not() -> None:
    found = plan_inheritance(stack(3), stack(2))
    assert [found[f"{i}.0.weight"] for i in range(3)] == ["0.0.weight", "1.0.weight", AS_BUILT]


def test_a_narrower_student_inherits_leading_channels() -> None:
    student, teacher = resnet(**IMAGE, depth=8, base=4), trained(resnet(**IMAGE, depth=14, base=8))
    built = copy.deepcopy(student.state_dict())
    found = inherit_layers(student, teacher, "slice")
    theirs = teacher.state_dict()
    assert AS_BUILT not in found.values()
    own = student.state_dict()
    assert torch.equal(own["layer2.0.conv1.weight"], theirs["layer2.0.conv1.weight"][:8, :4])
    assert torch.equal(own["layer2.0.bn1.running_mean"], theirs["layer2.0.bn1.running_mean"][:8])
    assert torch.equal(own["fc.weight"], theirs["fc.weight"][:, :16])
    assert torch.equal(own["fc.bias"], theirs["fc.bias"])
    alone = resnet(**IMAGE, depth=8, base=4)
    alone.load_state_dict(built)
    same = inherit_layers(alone, teacher, "spread")
    assert same["conv1.weight"] == AS_BUILT  # [4, 3, 3, 3] is not [8, 3, 3, 3]
    assert torch.equal(alone.conv1.weight, built["conv1.weight"])


def test_slices_of_zero_weights_beyond_them_answer_as_the_whole() -> None:
    """Where all beyond the slice is zero, the narrow network computes what the wide one does."""
    narrow, wide = vit_like(4), trained(vit_like(6))
    with torch.no_grad():
        wide[0].weight[4:], wide[0].bias[4:] = 0, 0
    inherit_layers(narrow, wide)
    images = torch.randn(3, 8)
    assert torch.allclose(narrow(images), wide(images), atol=1e-6)


def vit_like(inside: int) -> nn.Module:
    return nn.Sequential(nn.Linear(8, inside), nn.GELU(), nn.Linear(inside, 5))


def test_positions_and_tokens_are_cut_at_their_last_axis() -> None:
    student, teacher = (
        vit(**IMAGE, dim=24, heads=3, depth=2),
        trained(vit(**IMAGE, dim=48, depth=4)),
    )
    found = inherit_layers(student, teacher)
    assert found["layers.1.norm1.weight"] == "layers.3.norm1.weight"
    assert torch.equal(student.positions, teacher.positions[:, :, :24])


def test_a_kernel_is_cut_to_its_centre() -> None:
    wide = torch.arange(2 * 2 * 25.0).reshape(2, 2, 5, 5)
    assert torch.equal(slice_leading(wide, (1, 2, 3, 3)), wide[:1, :, 1:4, 1:4])
    assert slice_leading(wide, (1, 1, 1, 1)).item() == 12
    tokens = torch.arange(12.0).reshape(1, 3, 4)
    assert torch.equal(slice_leading(tokens, (1, 3, 2)), tokens[:, :, :2])
    for shape in ((2, 2, 5), (2, 2, 5, 6)):
        with pytest.raises(ValueError, match="to fit into it"):
            slice_leading(wide, shape)


def test_the_teacher_and_what_is_as_built_stay_as_they_were() -> None:
    teacher = trained(nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4)))
    student = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 7))
    before, head = copy.deepcopy(teacher.state_dict()), student[1].weight.clone()
    found = inherit_layers(student, teacher)
    assert found["1.weight"] == found["1.bias"] == AS_BUILT
    assert torch.equal(student[1].weight, head)
    student[0].weight.data.zero_()
    assert all(torch.equal(teacher.state_dict()[name], before[name]) for name in before)


def test_nothing_to_inherit_and_unknown_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="none of whose parameters"):
        inherit_layers(nn.Linear(3, 3), nn.Linear(2, 2))
    with pytest.raises(ValueError, match="want same, spread or slice"):
        plan_inheritance(nn.Linear(2, 2), nn.Linear(2, 2), "all")  # type: ignore[arg-type]


def test_the_distance_by_hand() -> None:
    student, teacher = nn.Linear(1, 2), nn.Linear(2, 2)
    with torch.no_grad():
        teacher.weight.copy_(torch.tensor([[1.0, 50.0], [2.0, 50.0]]))
        teacher.bias.copy_(torch.tensor([3.0, 4.0]))
    found = inherit_layers(student, teacher)
    assert weight_distance(student, found, teacher).item() == 0
    with torch.no_grad():
        student.weight.add_(torch.tensor([[1.0], [3.0]]))
    distance = weight_distance(student, found, teacher)
    assert distance.item() == pytest.approx((1 + 9) / 4)
    distance.backward()
    assert student.weight.grad is not None
    assert student.weight.grad.flatten().tolist() == pytest.approx([2 * 1 / 4, 2 * 3 / 4])
    assert teacher.weight.grad is None


def test_the_distance_leaves_out_buffers_and_what_was_not_inherited() -> None:
    teacher = trained(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2)))
    student = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 9))
    found = inherit_layers(student, teacher)
    with torch.no_grad():
        student[1].running_mean.add_(5)
        student[2].weight.add_(5)
    assert weight_distance(student, found, teacher).item() == 0
    with pytest.raises(ValueError, match="no inherited parameter"):
        weight_distance(student, {"2.weight": AS_BUILT}, teacher)
