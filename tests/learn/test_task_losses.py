"""Where a recipe names no losses, the task does."""

from __future__ import annotations

import pytest

from edgekd.errors import InputError
from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import Term
from edgekd.learn.task_losses import find_label_terms
from edgekd.learn.task_losses import find_soft_terms
from edgekd.named_member import NamedMember
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task

SAID = (Term(loss=NamedMember.parse("dkd", LOSSES, "loss")),)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_task_names_losses_that_there_are(name: str) -> None:
    task = load_task(name)
    for find, said in ((find_label_terms, task.losses), (find_soft_terms, task.soft_losses)):
        assert len(find((), task)) == len(said) > 0
        assert find(SAID, task) == SAID


@pytest.mark.parametrize(("name", "temperature"), [("classification", 2.0), ("segmentation", 1.0)])
def test_of_classes_logits_teach_softened_where_there_is_one_a_sample(
    name: str, temperature: float
) -> None:
    (term,) = find_soft_terms((), load_task(name))
    assert (term.loss.name, term.weight) == ("kd", 1.0)
    assert term.loss.arguments == {"temperature": temperature}


def test_a_task_of_ones_own_is_held_to_losses_that_there_are() -> None:
    task = load_task("regression")
    with pytest.raises(InputError, match="task: losses: got unknown loss 'mse'"):
        find_label_terms((), task._replace(losses=("mse",)))
    with pytest.raises(InputError, match="the task names none"):
        find_soft_terms((), task._replace(soft_losses=()))
