"""Images made from a teacher alone, where its training data are not at hand.

Each is ``synthesizer(teacher, wanted, **knobs)`` and gives batches of normalised images; see
`edgekd.learn.synthesis.request`.
"""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.synthesis"

SYNTHESIZERS: dict[str, Member] = {
    "deepinversion": Member(
        f"{_HERE}.deepinversion",
        "deepinversion",
        "pixels descended until the batch norms see what they saw in training",
        per="sample",
        inputs=("image",),
        paper="Yin et al. 2020",
    ),
    "dafl": Member(
        f"{_HERE}.dafl",
        "dafl",
        "a generator whose images the teacher is sure of, all classes alike",
        per="sample",
        inputs=("image",),
        paper="Chen et al. 2019",
    ),
    "cmi": Member(
        f"{_HERE}.cmi",
        "cmi",
        "a generator a batch, driven away from what was made before",
        per="sample",
        inputs=("image",),
        paper="Fang et al. 2021",
    ),
}
