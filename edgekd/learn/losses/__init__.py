"""The losses by family, and by the name a recipe uses. A loss is a pure function; see `edgekd.learn.method.loss`."""

from __future__ import annotations

from edgekd.learn.losses import adversarial
from edgekd.learn.losses import attention
from edgekd.learn.losses import feature
from edgekd.learn.losses import language
from edgekd.learn.losses import relation
from edgekd.learn.losses import response
from edgekd.learn.losses import values
from edgekd.table import Member
from edgekd.table import Table

FAMILIES: dict[str, dict[str, Member]] = {
    "response": response.LOSSES,
    "feature": feature.LOSSES,
    "relation": relation.LOSSES,
    "attention": attention.LOSSES,
    "adversarial": adversarial.LOSSES,
    "language": language.LOSSES,
    "values": values.LOSSES,
}
LOSSES = Table(
    "loss",
    {name: member for family in FAMILIES.values() for name, member in family.items()},
    takes_own=True,
)
