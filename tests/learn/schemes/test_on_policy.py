"""On-policy lessons: what the student says, judged place by place; the data where it does not speak."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.dataset import Dataset
from edgekd.dataset import read as read_dataset
from edgekd.errors import InputError
from edgekd.fields.conversation import Conversation
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens
from edgekd.learn import blueprint
from edgekd.learn.assembly.connection import connect_outputs
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.models.text_decoder import text_decoder
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.schemes.on_policy import on_policy
from edgekd.learn.settings import Term
from edgekd.learn.task_fit import CLASSIFIER
from edgekd.learn.task_fit import TaskEnds
from edgekd.learn.task_fit import find_scheme_misfit
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import data
from edgekd.stages import distil
from edgekd.task import interface_of
from edgekd.tasks.language_modelling import TASK

PROMPT = 3
TEXT = Tokens(vocabulary=11, usual=8, longest=8)
DATASET = Dataset(
    task="language-modelling",
    inputs={"text": TEXT},
    targets={
        "next_tokens": NextTokens(vocabulary=11),
        "text_bytes": Number(columns=("bytes",), mean=(0.0,), std=(1.0,)),
    },
)
SAMPLES: Any = SimpleNamespace(seed=7, dataset=DATASET)
ENDS = interface_of(TASK, DATASET)


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    sizes = {"vocabulary": 11, "longest": 8, "heads": 2}
    return text_decoder(layers=1, width=8, **sizes), text_decoder(layers=2, width=16, **sizes)


def batch(epoch: float = 0.0, padding: int = 0) -> TensorBatch:
    whole = torch.randint(1, 11, (4, 9), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(4, 8, dtype=torch.int64)
    mask[2, 5:] = 0
    tokens = whole[:, :-1].masked_fill(mask == 0, padding)
    following = whole[:, 1:].masked_fill(mask == 0, -100)
    bytes_of = {"next_tokens": following, "text_bytes": torch.zeros(4, 1)}
    return TensorBatch(np.array([3, 1, 8, 5]), 0, (tokens, mask), bytes_of, epoch, 4)


def conversations(end: int) -> tuple[SimpleNamespace, TensorBatch]:
    """The same texts as conversations that end with `end`: an answer behind two, four and three tokens; one of two answers."""
    given = batch()
    following = given.targets["next_tokens"].clone()
    for row, start in enumerate((1, 3, 2, 5)):
        following[row, :start] = -100
    following[3, 1:3] = given.targets["next_tokens"][3, 1:3]  # an answer before the last
    text = Conversation(vocabulary=11, usual=8, longest=8, end=end)
    data = Dataset(task="", inputs={"text": text}, targets=DATASET.targets)
    return SimpleNamespace(seed=7, dataset=data), given._replace(
        targets={**given.targets, "next_tokens": following}
    )


def learn(
    loss: str,
    given: TensorBatch,
    student: nn.Module,
    teacher: nn.Module,
    samples: Any = SAMPLES,
    **knobs: Any,
) -> Tensor:
    linked = connect_outputs(
        [Term(loss=NamedMember.parse(loss, LOSSES, "loss"))], 4, samples=40, interface=ENDS
    )
    scheme = linked.add_to_scheme(
        on_policy(student, teacher, samples, prompt_tokens=PROMPT, **knobs)
    )
    return compute_lessons(linked.terms, scheme.lessons(student, given), given.epoch)[0]


def test_without_a_share_it_is_distillation_on_the_data() -> None:
    (student, teacher), given = networks(), batch()
    counted = given.targets["next_tokens"] >= 0
    ours, theirs = (
        F.log_softmax(network(*given.inputs)[counted], 1) for network in (student, teacher)
    )
    want = (theirs.exp() * (theirs - ours)).sum(1).mean()
    torch.testing.assert_close(learn("forward-kl", given, student, teacher, share=0.0), want)


def test_the_loss_is_of_what_the_student_says_behind_the_prompt() -> None:
    (student, teacher), given = networks(), batch()
    tokens, mask = given.inputs
    said = tokens.clone()
    with torch.no_grad():
        for place in range(PROMPT, 8):
            best = student(said[:, :place], mask[:, :place])[:, -1].argmax(1)
            said[:, place] = torch.where(mask[:, place] == 1, best, said[:, place])
    assert not torch.equal(said, tokens)
    counted = (mask == 1) & (torch.arange(8) >= PROMPT - 1)
    ours, theirs = (
        F.log_softmax(network(said, mask)[counted], 1) for network in (student, teacher)
    )
    want = (ours.exp() * (ours - theirs)).sum(1).mean()
    got = learn("reverse-kl", given, student, teacher, temperature=0.0)
    torch.testing.assert_close(got, want)
    gradients = [torch.autograd.grad(each, list(student.parameters())) for each in (got, want)]
    torch.testing.assert_close(*gradients)
    assert all(parameter.grad is None for parameter in teacher.parameters())


@pytest.mark.parametrize("end", [0, *range(1, 11)])
def test_in_conversations_it_answers_each_prompt_up_to_the_end(end: int) -> None:
    """By a loop over the rows: greedy behind the last answer's prompt, up to the token that ends one or the row's length."""
    student, teacher = networks()
    samples, given = conversations(end)
    tokens, mask = given.inputs
    terms = []
    for row, prompt in enumerate((2, 4, 3, 6)):
        said = tokens[row : row + 1, :prompt]
        while said.shape[1] <= int(mask[row].sum()):
            with torch.no_grad():
                best = student(said, torch.ones_like(said))[:, -1].argmax(1)
            if int(best) == end or said.shape[1] == int(mask[row].sum()):
                break
            said = torch.cat([said, best[:, None]], 1)
        ours, theirs = (
            F.log_softmax(network(said, torch.ones_like(said))[0, prompt - 1 :], 1)
            for network in (student, teacher)
        )
        terms.append((ours.exp() * (ours - theirs)).sum(1))
    got = learn("reverse-kl", given, student, teacher, samples, temperature=0.0)
    torch.testing.assert_close(got, torch.cat(terms).mean(), rtol=1e-4, atol=1e-6)


def test_it_is_drawn_again_alike_and_anew_in_the_next_epoch() -> None:
    (student, teacher), losses = networks(), []
    for epoch in (0.0, 0.75, 1.0, 1.25):
        losses.append(float(learn("jsd", batch(epoch), student, teacher).detach()))
    assert losses[0] == losses[1] != losses[2] == losses[3]


def test_padding_changes_nothing() -> None:
    student, teacher = networks()
    found = [learn("jsd", batch(padding=value), student, teacher, share=0.5) for value in (0, 7)]
    torch.testing.assert_close(*found)
    grads = [torch.autograd.grad(each, list(student.parameters())) for each in found]
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-6)


def test_the_student_speaks_without_dropout_and_goes_on_learning() -> None:
    student, teacher = networks()
    student.train()
    student.layers[0].mlp[1].eval()  # type: ignore[index, union-attr, operator]
    learn("jsd", batch(), student, teacher)
    assert student.training and not student.layers[0].mlp[1].training  # type: ignore[index, union-attr]


def test_labels_count_where_the_data_speak_alone() -> None:
    (student, teacher), given = networks(), batch()
    half = learn("cross-entropy", given, student, teacher, share=0.5)
    logits, each, counts = student(*given.inputs), [], []
    for row, following in zip(logits, given.targets["next_tokens"], strict=True):
        counted = following >= 0
        each.append(F.cross_entropy(row[counted], following[counted], reduction="sum"))
        counts.append(int(counted.sum()))
    found = [
        (each[a] + each[b]) / (counts[a] + counts[b]) for a in range(4) for b in range(a + 1, 4)
    ]
    assert any(torch.isclose(half, pair) for pair in found)
    with pytest.raises(InputError, match="cross-entropy: got no labels from this scheme"):
        learn("cross-entropy", given, student, teacher)


def test_the_share_is_kept_in_every_batch() -> None:
    """Of all samples, in the long run, too: who speaks changes from epoch to epoch."""
    (student, teacher), spoken = networks(), np.zeros(4)
    for epoch in range(40):
        given = batch(float(epoch))
        scheme = on_policy(student, teacher, SAMPLES, prompt_tokens=PROMPT, share=0.5)
        (lesson,) = scheme.lessons(student, given)
        silent = (lesson.signals["next_tokens"] >= 0).any(1).numpy()
        assert silent.sum() == 2
        spoken += ~silent
    assert spoken.min() > 8


def test_a_teacher_that_is_mixed_in_is_drawn_from_alone_at_one() -> None:
    (student, teacher), given = networks(), batch()
    knobs: Any = {"prompt_tokens": PROMPT, "temperature": 0.0}
    (lesson,) = on_policy(student, teacher, SAMPLES, **knobs, teacher_mix=1.0).lessons(
        student, given
    )
    theirs = lesson.signals["teacher_logits"].argmax(2)
    (own,) = on_policy(teacher, teacher, SAMPLES, **knobs).lessons(teacher, given)
    assert torch.equal(theirs, own.signals["teacher_logits"].argmax(2))


def test_other_data_are_refused() -> None:
    student, teacher = networks()
    images = batch()._replace(inputs=(torch.zeros(4, 1, 8, 8),))
    with pytest.raises(ValueError, match="want tokens .B, N. and their mask"):
        on_policy(student, teacher, SAMPLES, prompt_tokens=PROMPT).lessons(student, images)
    with pytest.raises(ValueError, match="prompt_tokens: got 8, want fewer than the texts' 8"):
        on_policy(student, teacher, SAMPLES, prompt_tokens=8)
    member = SCHEMES["on-policy"]
    assert not find_scheme_misfit("on-policy", member, TaskEnds(TASK.outputs, ("next_tokens",)))
    misfit = find_scheme_misfit("on-policy", member, CLASSIFIER)
    assert "which is for models that say what comes next" in misfit


class Struck(Silent):
    """Ends a run at a step, as a kill would."""

    def update(self, done: int, total: int, text: str) -> None:
        if done == 7:
            raise KeyboardInterrupt


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgekd.learn.training.monitor.StepMonitor.show",
        lambda self, state: self.run.progress.update(state.step, self.total_steps, ""),
    )
    (tmp_path / "texts.txt").write_text(
        " ".join(f"the {n} cats sat on {n * 7}." for n in range(60))
    )
    (tmp_path / "resolved.json").write_text(
        '{"precision": "fp32", "channels_last": false, "threads": 1}'
    )

    def run(stage: Any, config: Any, given: Any, name: str, progress: Silent | None = None) -> Any:
        (tmp_path / name / "made").mkdir(parents=True, exist_ok=True)
        kept = tmp_path / name / "kept"
        context = Context(
            folder=tmp_path / name / "made", checkpoints=kept, seed=3, progress=progress or Silent()
        )
        return stage.run(config, given, context)

    source = {"name": "text-corpus", "reference": str(tmp_path / "texts.txt"), "longest": 16}
    made = run(data, data.DataConfig(source=source, task="language-modelling"), {}, "data")
    given = {"data": made["data.json"], "resolved": tmp_path / "resolved.json"}
    given |= {name: made[name] for name in ("train", "validation")}
    plan = Blueprint(
        builder="text-decoder",
        arguments={"layers": 1, "width": 16, "heads": 2},
        interface=interface_of(TASK, read_dataset(given["data"])),
    )
    torch.manual_seed(0)
    saved = blueprint.save(blueprint.build(plan), plan, tmp_path)
    given["teacher_blueprint"] = saved["blueprint.json"]
    given["teacher_weights"] = saved["weights.safetensors"]
    config = distil.DistilConfig(
        model={"name": "text-decoder", "layers": 1, "width": 8, "heads": 2},
        losses=["jsd"],
        knowledge="online",
        train={
            "epochs": 2,
            "batch_size": 16,
            "optimizer": "adamw",
            "learning_rate": 0.01,
            "precision": "fp32",
            "threads": 1,
            "checkpoint_every_s": 0,
        },
        views={"count": 1},
        views_seed=0,
        scheme={"name": "on-policy", "prompt_tokens": 4},
    )
    whole = run(distil, config, given, "whole")
    with pytest.raises(KeyboardInterrupt):
        run(distil, config, given, "struck", Struck())
    again = run(distil, config, given, "struck")
    for name, path in whole.items():
        assert path.read_bytes() == again[name].read_bytes(), name
