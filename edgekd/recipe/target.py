"""What a recipe says of the engines: which, in which precisions, from which Q/DQ file."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import AfterValidator
from pydantic import Field

from edgekd.errors import find_nearest
from edgekd.profile import PROFILES
from edgekd.runtime import Precision
from edgekd.runtimes import RUNTIMES
from edgekd.settings import Settings

AUTO: Literal["auto"] = "auto"


def _runtime(name: str) -> str:
    if name not in RUNTIMES:
        raise ValueError(f"got unknown runtime {name!r}; {find_nearest(name, RUNTIMES)}")
    return name


def require_profile_name(name: str) -> str:
    """`name`, if it is ``auto`` or a profile's.

    Raises:
        ValueError: with its nearest neighbour.
    """
    if name != AUTO and name not in PROFILES:
        raise ValueError(f"got unknown profile {name!r}; {find_nearest(name, (AUTO, *PROFILES))}")
    return name


def require_distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """`items`, if none is there twice.

    Raises:
        ValueError: naming the first that is.
    """
    for i, item in enumerate(items):
        if item in items[:i]:
            raise ValueError(f"got {item!r} twice, want it once")
    return items


def _profiles(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in PROFILES:
            raise ValueError(f"got unknown profile {name!r}; {find_nearest(name, PROFILES)}")
    return require_distinct(names)


Profiles = (
    Literal["auto"]
    | Annotated[tuple[str, ...], Field(min_length=1, strict=False), AfterValidator(_profiles)]
)
"""Names of `edgekd.profile.PROFILES`, or what the targets need."""


def _distinct_runtimes(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    require_distinct(tuple(target.runtime for target in targets))
    return targets


class Target(Settings):
    """One engine to compile for, and how to run it."""

    runtime: Annotated[str, AfterValidator(_runtime)]
    """An engine of `edgekd doctor`."""
    precision: (
        Literal["auto"]
        | Annotated[
            tuple[Precision, ...],
            Field(min_length=1, strict=False),
            AfterValidator(require_distinct),
        ]
    ) = AUTO
    """Precisions to try; auto is all that the engine offers on this machine, int8 where the student
    was quantized."""
    profile: Annotated[str, AfterValidator(require_profile_name)] = AUTO
    """Which Q/DQ file int8 is compiled from (`edgekd.profile`); auto is the one this engine runs
    fastest on the device that measures."""
    capability: Annotated[str, Field(pattern=r"^sm[0-9]{2,3}$")] | None = None
    """CUDA compute capability to build for, ``sm89``; None is the device that is there. TensorRT's."""
    threads: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        Field(min_length=1, strict=False),
        AfterValidator(require_distinct),
    ] = (1,)
    """Thread counts to measure."""

    def precisions(self) -> tuple[Precision, ...]:
        """Return what is tried: all that the engine is known for, or what the recipe says."""
        known = RUNTIMES[self.runtime].known_precisions
        return known if self.precision == AUTO else self.precision

    def options(self) -> dict[str, str]:
        """Return what the engine's build takes besides (`edgekd.runtime.RuntimeEntry.options`)."""
        return {} if self.capability is None else {"capability": self.capability}


Targets = Annotated[
    tuple[Target, ...],
    Field(min_length=1, strict=False),
    AfterValidator(_distinct_runtimes),
]
