"""Samples made by a teacher: images and texts from it alone, where its training data are not at hand, or its own texts.

Each is ``synthesizer(teacher, wanted, **knobs)``, or with the training split's texts as ``prompts`` behind these two, and gives batches: of normalised images, see
`edgekd.learn.synthesis.request`, or of tokens, see `edgekd.learn.synthesis.texts`.
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
    "begin-token-texts": Member(
        f"{_HERE}.texts",
        "begin_token_texts",
        "texts that the teacher writes from its begin token alone",
        per="next-token",
        inputs=("tokens",),
        paper="Liu et al. 2023",
    ),
    "prompted-texts": Member(
        f"{_HERE}.texts",
        "prompted_texts",
        "the teacher's own continuations of training texts, learned as data",
        per="next-token",
        inputs=("tokens",),
        paper="Kim and Rush 2016",
    ),
}
