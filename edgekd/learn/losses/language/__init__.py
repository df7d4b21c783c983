"""Language models: divergences over a vocabulary, token by token."""

from __future__ import annotations

from edgekd.table import Member

_HERE = "edgekd.learn.losses.language"

LOSSES: dict[str, Member] = {
    "forward-kl": Member(
        f"{_HERE}.kullback_leibler",
        "forward_kl",
        "all that the teacher may say, by its probability",
        paper="Kim and Rush 2016",
        logits="classes",
        over_tokens=True,
    ),
    "reverse-kl": Member(
        f"{_HERE}.kullback_leibler",
        "reverse_kl",
        "what the student says, by what the teacher thinks of it",
        paper="Gu et al. 2024",
        logits="classes",
        over_tokens=True,
    ),
    "symmetric-kl": Member(
        f"{_HERE}.kullback_leibler",
        "symmetric_kl",
        "forward and reverse KL, weighted",
        paper="Jeffreys 1946",
        logits="classes",
        over_tokens=True,
    ),
    "adaptive-kl": Member(
        f"{_HERE}.kullback_leibler",
        "adaptive_kl",
        "forward KL for the head, reverse KL for the tail",
        paper="Wu et al. 2024",
        logits="classes",
        over_tokens=True,
    ),
    "jsd": Member(
        f"{_HERE}.mixtures",
        "jsd",
        "both against their mixture, generalised Jensen-Shannon",
        paper="Agarwal et al. 2024",
        logits="classes",
        over_tokens=True,
    ),
    "skewed-forward-kl": Member(
        f"{_HERE}.mixtures",
        "skewed_forward_kl",
        "the teacher against a mixture with the student",
        paper="Ko et al. 2024",
        logits="classes",
        over_tokens=True,
    ),
    "skewed-reverse-kl": Member(
        f"{_HERE}.mixtures",
        "skewed_reverse_kl",
        "the student against a mixture with the teacher",
        paper="Ko et al. 2024",
        logits="classes",
        over_tokens=True,
    ),
    "total-variation": Member(
        f"{_HERE}.differences",
        "total_variation",
        "absolute difference of probabilities",
        paper="Wen et al. 2023",
        logits="classes",
        over_tokens=True,
    ),
    "uld": Member(
        f"{_HERE}.differences",
        "uld",
        "sorted probabilities, across vocabularies",
        paper="Boizard et al. 2024",
        logits="classes",
        weight=1.5,
        over_tokens=True,
    ),
    "sparse-kl": Member(
        f"{_HERE}.sparse",
        "sparse_kl",
        "forward KL of the likeliest classes and their rest",
        paper="Anshumann et al. 2025",
        logits="classes",
        over_tokens=True,
    ),
    "sparse-jsd": Member(
        f"{_HERE}.sparse",
        "sparse_jsd",
        "jsd of the likeliest classes and their rest",
        paper="Agarwal et al. 2024",
        logits="classes",
        over_tokens=True,
    ),
    "sparse-tv": Member(
        f"{_HERE}.sparse",
        "sparse_tv",
        "total variation of the likeliest classes and their rest",
        paper="Wen et al. 2023",
        logits="classes",
        over_tokens=True,
    ),
    "mft": Member(
        f"{_HERE}.correction",
        "mft",
        "the teacher with its wrong answers corrected",
        paper="Belcak et al. 2025",
        logits="classes",
        over_tokens=True,
    ),
}
