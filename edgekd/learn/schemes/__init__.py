"""Who teaches whom, by the name a recipe uses. A scheme is a builder; see `edgekd.learn.method.scheme`."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import BeforeValidator

from edgekd.errors import find_nearest
from edgekd.named_member import NamedMember
from edgekd.table import Member
from edgekd.table import Table
from edgekd.table import find_signature

_HERE = "edgekd.learn.schemes"

_BUILT_IN: dict[str, Member] = {
    "offline": Member(
        f"{_HERE}.offline",
        "offline",
        "finished teachers tell the student what they think",
        paper="Hinton et al. 2015",
        sees_batch_once=True,
    ),
    "on-policy": Member(
        f"{_HERE}.on_policy",
        "on_policy",
        "the student goes on from prompts, the teacher says what it thinks of that",
        per="next-token",
        paper="Agarwal et al. 2024",
        inputs=("tokens",),
    ),
    "densely-guided": Member(
        f"{_HERE}.densely_guided",
        "densely_guided",
        "teacher and assistants, a random part of them at a time",
        paper="Son et al. 2021",
    ),
    "adaptive": Member(
        f"{_HERE}.adaptive",
        "adaptive",
        "several teachers whose weights are learned",
        per="sample",
        paper="Liu et al. 2020",
    ),
    "route": Member(
        f"{_HERE}.route",
        "route",
        "states of the teacher on its way, one after the other",
        paper="Jin et al. 2019",
    ),
    "dml": Member(
        f"{_HERE}.peers",
        "dml",
        "networks of one kind teach one another",
        per="sample",
        paper="Zhang et al. 2018",
    ),
    "kdcl": Member(
        f"{_HERE}.peers",
        "kdcl",
        "one teacher made of all learners' logits",
        per="sample",
        paper="Guo et al. 2020",
        one_class_if={"rule": "min-logit"},
    ),
    "one": Member(
        f"{_HERE}.native_ensemble",
        "native_ensemble",
        "branches on the student's trunk, taught by their gated mean",
        per="sample",
        paper="Lan et al. 2018",
    ),
    "byot": Member(
        f"{_HERE}.exits",
        "byot",
        "exits at earlier stages, taught by the deepest",
        per="sample",
        paper="Zhang et al. 2019",
    ),
    "tf-kd": Member(
        f"{_HERE}.virtual_teacher",
        "tf_kd",
        "a designed teacher; label smoothing is its case without temperatures",
        per="sample",
        paper="Yuan et al. 2020",
        one_class_if={},
    ),
    "cs-kd": Member(
        f"{_HERE}.same_class",
        "cs_kd",
        "another sample of the class teaches",
        per="sample",
        paper="Yun et al. 2020",
        one_class_if={},
    ),
    "uskd": Member(
        f"{_HERE}.own_ranks",
        "uskd",
        "soft labels of the student's own making",
        per="sample",
        paper="Yang et al. 2023",
        one_class_if={},
    ),
    "ema": Member(
        f"{_HERE}.mean_teacher",
        "ema",
        "the student's moving average teaches",
        per="sample",
        paper="Tarvainen and Valpola 2017",
    ),
    "sskd": Member(
        f"{_HERE}.self_supervised",
        "self_supervised",
        "which transformed images are alike, as the teacher sees it",
        per="sample",
        inputs=("image",),
        paper="Xu et al. 2020",
    ),
    "supernet": Member(
        f"{_HERE}.supernet",
        "supernet",
        "narrower networks inside the largest learn from it in place",
        per="sample",
        paper="Yu et al. 2020",
    ),
    "blockwise": Member(
        f"{_HERE}.blockwise",
        "blockwise",
        "each stage learns what the teacher's makes of the same input",
        per="sample",
        paper="Li et al. 2020",
    ),
    "lwf": Member(
        f"{_HERE}.lifelong",
        "lwf",
        "old classes answered as before, each group with its own head",
        per="sample",
        inputs=("image",),
        paper="Li and Hoiem 2016",
    ),
    "lwf-mc": Member(
        f"{_HERE}.lifelong",
        "lwf_mc",
        "old classes answered as before, all classes asked at once",
        per="sample",
        inputs=("image",),
        paper="Rebuffi et al. 2017",
    ),
    "less-forgetting": Member(
        f"{_HERE}.lifelong",
        "less_forgetting",
        "features stay where they were while new classes are learned",
        per="sample",
        inputs=("image",),
        paper="Jung et al. 2016",
    ),
    "dafl": Member(
        f"{_HERE}.data_free",
        "dafl",
        "without data: a generator makes images that please the teacher",
        per="sample",
        inputs=("image",),
        paper="Chen et al. 2019",
    ),
    "zskt": Member(
        f"{_HERE}.data_free",
        "zskt",
        "without data: a generator looks for what the student answers otherwise",
        per="sample",
        inputs=("image",),
        paper="Micaelli and Storkey 2019",
    ),
    "dfad": Member(
        f"{_HERE}.data_free",
        "dfad",
        "the same, by the logits' distance",
        per="sample",
        inputs=("image",),
        paper="Fang et al. 2019",
    ),
    "ard": Member(
        f"{_HERE}.robust",
        "ard",
        "on misleading images the student says what the teacher says of the clean",
        per="sample",
        inputs=("image",),
        paper="Goldblum et al. 2020",
    ),
    "rslad": Member(
        f"{_HERE}.robust",
        "rslad",
        "the teacher's soft labels in the attack, and on both kinds of image",
        per="sample",
        inputs=("image",),
        paper="Zi et al. 2021",
    ),
    "adversarial-training": Member(
        f"{_HERE}.robust",
        "adversarial",
        "no teacher, and images made to mislead: the control of the two above",
        per="sample",
        inputs=("image",),
        paper="Madry et al. 2018",
    ),
}
SCHEMES = Table("scheme", _BUILT_IN)
CHAINS: dict[str, Member] = {
    "born-again": Member(
        f"{_HERE}.offline",
        "offline",
        "students of the teacher's own kind, each taught by the one before",
        paper="Furlanello et al. 2018",
    ),
}
"""Methods that are several steps of a scheme, and no word of their own in a recipe."""
OFFLINE = NamedMember.parse("offline", SCHEMES, "scheme")
"""A finished teacher; what a recipe means that names no scheme."""


class Participant(NamedTuple):
    """A positional parameter that a scheme may take."""

    of_teachers: Literal["nothing", "answers", "models"] = "nothing"
    """What of them it stands for: answers can be stored beforehand, a model must be there."""
    why: str = ""
    """What a scheme does with the models, which answers are not enough for."""


PARTICIPANTS: dict[str, Participant] = {
    "student": Participant(),
    "teacher_function": Participant("answers"),
    "teacher_functions": Participant("answers"),
    "waypoint_functions": Participant("models", "follows the teacher's way"),
    "teacher": Participant("models", "asks the teacher itself"),
    "classes": Participant(),
    "samples": Participant(),
    "build_peer": Participant(),
    "build_smaller": Participant(),
    "pairs": Participant("models", "looks inside the teacher"),
    "stages": Participant(),
    "device": Participant(),
}
"""By the name of a scheme's positional parameter (`edgekd.learn.assembly.participants` makes them)."""


def _scheme(value: Any) -> NamedMember:
    named = NamedMember.parse(value, SCHEMES, "scheme")
    for each in find_signature(SCHEMES[named.name]).positional:
        if each not in PARTICIPANTS:
            hint = find_nearest(each, PARTICIPANTS)
            raise ValueError(
                f"got {named.name!r}, which takes {each!r}, want a participant; {hint}"
            )
    return named


SchemeName = Annotated[NamedMember, BeforeValidator(_scheme)]
"""Who teaches whom, by name or with its knobs."""
