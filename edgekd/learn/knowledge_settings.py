"""How a teacher's answers are stored. Imports no torch and no numpy."""

from __future__ import annotations

from typing import Annotated
from typing import Literal
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd.settings import Settings
from edgekd.settings import omit_default

MANIFEST = "knowledge.json"
"""The file that says what a store of answers holds, and names its shards."""
DISK_LIMIT_GB = 50.0
"""What stored layers may take where nobody says more."""
LayerForm = Literal["auto", "pooled", "whole"]
MOST_TOP_K = 2**16
ENCODINGS = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}
"""By name, the bytes of one value."""
SCALE_BYTES = 4
"""Of one output in int8: its least value and its step, fp16 each."""
REST_BYTES = 4
"""Of what the classes beyond the likeliest weigh together, fp32."""

PLACES_BYTES = 4
"""Of how many places a sample has, where each has a row."""


class KnowledgeSettings(Settings):
    """How a teacher's answers are stored: in rows of a fixed size, in shards that are read as memory maps."""

    encoding: Literal["fp32", "fp16", "bf16", "int8"] = "fp16"
    """Of each value. fp32 is exact; fp16 is off by at most 1/2048 of a value, bf16 by 1/256 at most; int8 by half a
    255th of the distance between an answer's least and largest value, about."""
    top_k: Annotated[int, Field(ge=1, le=MOST_TOP_K)] | None = None
    """Only the likeliest classes are stored, and what all others weigh together; those are then taken to be alike.
    None stores all. For teachers that give the logits of one class a sample, or of a token; losses over tokens take all
    others for one class more."""
    temperature: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1.0
    """At which the others' weight is exact; the temperature of the loss serves best."""

    @model_validator(mode="after")
    def _heard(self) -> Self:
        if self.top_k is None and self.temperature != 1.0:
            raise ValueError(f"got temperature {self.temperature:g} without top_k, want both")
        return self

    def cuts(self, values: int) -> bool:
        """Return whether some of so many classes are not stored."""
        return self.top_k is not None and self.top_k < values

    def row_bytes(self, values: int) -> int:
        """Return the bytes of an answer of so many values in one output."""
        scale = SCALE_BYTES if self.encoding == "int8" else 0
        if self.top_k is None or not self.cuts(values):
            return values * ENCODINGS[self.encoding] + scale
        each = ENCODINGS[self.encoding] + index_bytes(values)
        return self.top_k * each + scale + REST_BYTES


class RecipeKnowledge(KnowledgeSettings):
    """What a recipe says of stored answers."""

    disk_limit_gb: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = omit_default(
        DISK_LIMIT_GB
    )
    """What the layers that losses read of a teacher, and its answers, may take of the disk where a step says
    `knowledge: auto`, in 10^9 bytes; what takes more is computed anew in every step."""

    layers: LayerForm = omit_default("auto")
    """In which form layers are stored. Auto: pooled, the mean over the places of a map or of tokens, where losses read
    nothing else of one; else whole. ``pooled`` refuses losses that read one whole; ``whole`` pools none."""

    @property
    def storage(self) -> KnowledgeSettings:
        """How answers are stored."""
        return KnowledgeSettings(**self.model_dump(exclude={"disk_limit_gb", "layers"}))


EXACT = KnowledgeSettings(encoding="fp32")
"""How answers are stored where a recipe does not say."""


def index_bytes(values: int) -> int:
    """Return the bytes of one class number of so many."""
    return 2 if values <= 2**16 else 4
