"""Feature: maps and embeddings inside the two networks, compared one with the other."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.feature"
_BESIDE = "edgekd.learn.companions"

_PROJECTOR = Member(f"{_BESIDE}.projector", "projector", "the student's features made to fit")
_RESIZER = Member(f"{_BESIDE}.resizing", "resizer", "the larger map pooled to the smaller")
_STAGES = Member(f"{_BESIDE}.projector", "stages_projector", "a projector for each stage")
_EMBEDDING = Member(
    f"{_BESIDE}.projector", "embedding_projector", "the student's embedding made to fit"
)

LOSSES: dict[str, Member] = {
    "fitnet": Member(
        f"{_HERE}.regression",
        "fitnet",
        "squared difference of features",
        paper="Romero et al. 2015",
        weight=100.0,
        companion=_PROJECTOR,
        depth=0.5,
    ),
    "simkd": Member(
        f"{_HERE}.regression",
        "simkd",
        "the features that the teacher's classifier reads, which is then reused",
        paper="Chen et al. 2022",
        depth=1.0,
        reuses_classifier=True,
        companion=Member(
            f"{_BESIDE}.reuse",
            "shipped_projector",
            "nothing: a projector of three convolutions is shipped",
        ),
    ),
    "cosine": Member(
        f"{_HERE}.regression",
        "cosine",
        "the angle between features, place by place",
        paper="Sanh et al. 2019",
        companion=_PROJECTOR,
        depth=1.0,
    ),
    "patient": Member(
        f"{_HERE}.regression",
        "patient",
        "normalized class tokens of intermediate layers",
        paper="Sun et al. 2019",
        weight=100.0,
        companion=_PROJECTOR,
    ),
    "at": Member(
        f"{_HERE}.places",
        "at",
        "where the activations are large, whatever the channel",
        paper="Zagoruyko and Komodakis 2017",
        weight=1000.0,
        companion=_RESIZER,
    ),
    "nst": Member(
        f"{_HERE}.places",
        "nst",
        "the channels' patterns as one distribution",
        paper="Huang and Wang 2017",
        weight=50.0,
        companion=_RESIZER,
    ),
    "fsp": Member(
        f"{_HERE}.flow",
        "fsp",
        "how features change from stage to stage",
        paper="Yim et al. 2017",
        companion=_STAGES,
    ),
    "ft": Member(
        f"{_HERE}.factors",
        "ft",
        "factors of the features, paraphrased and translated",
        paper="Kim et al. 2018",
        weight=200.0,
        companion=Member(
            f"{_BESIDE}.paraphraser", "paraphraser", "an autoencoder and a translator"
        ),
        depth=1.0,
    ),
    "ab": Member(
        f"{_HERE}.boundary",
        "ab",
        "which neurons are active, with a margin",
        paper="Heo et al. 2019",
        weight=3e-3,
        companion=_PROJECTOR,
    ),
    "ofd": Member(
        f"{_HERE}.boundary",
        "ofd",
        "features before the activation, where they matter",
        paper="Heo et al. 2019",
        weight=1e-3,
        companion=Member(f"{_BESIDE}.margin", "margin", "a projector and the teacher's margins"),
    ),
    "vid": Member(
        f"{_HERE}.likelihood",
        "vid",
        "likelihood of features, with a learnt variance a channel",
        paper="Ahn et al. 2019",
        companion=Member(f"{_BESIDE}.variance", "variance", "a regressor and learnt variances"),
    ),
    "pad-l2": Member(
        f"{_HERE}.likelihood",
        "pad_l2",
        "embeddings, hard samples weighing less",
        paper="Zhang et al. 2020",
        companion=Member(f"{_BESIDE}.variance", "embedding_variance", "predicts the log variance"),
    ),
    "reviewkd": Member(
        f"{_HERE}.review",
        "reviewkd",
        "deep stages of the student reviewed beside shallow ones",
        paper="Chen et al. 2021",
        ramp=1 / 12,
        companion=Member(f"{_BESIDE}.fusion", "fusion", "attention from deep to shallow"),
    ),
    "cwd": Member(
        f"{_HERE}.channels",
        "cwd",
        "each channel as a distribution over places",
        paper="Shu et al. 2021",
        weight=10.0,
        companion=_PROJECTOR,
        depth=1.0,
    ),
    "pkd": Member(
        f"{_HERE}.channels",
        "pkd",
        "correlation of features, channel by channel",
        paper="Cao et al. 2022",
        weight=6.0,
        companion=_PROJECTOR,
        depth=1.0,
    ),
    "srd": Member(
        f"{_HERE}.normalization",
        "srd",
        "logarithm of the distance of normalized embeddings",
        paper="Miles and Mikolajczyk 2024",
        weight=2.0,
        preset={"always": True},
        companion=_EMBEDDING,
    ),
    "srd-correlation": Member(
        f"{_HERE}.normalization",
        "srd_correlation",
        "logarithm of how far embeddings are from correlated",
        paper="Miles and Mikolajczyk 2024",
        preset={"always": True},
        companion=_EMBEDDING,
    ),
}
