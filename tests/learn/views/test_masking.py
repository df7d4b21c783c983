"""Masks: a pure function of (seed, index, view); as many of each kind as BERT has; texts and tokens belong together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.fields.tokens import Tokens
from edgekd.learn.arrays import Calibration
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
from edgekd.learn.view_settings import Views
from edgekd.learn.views.masking import mask_rows
from edgekd.learn.views.masking import mask_samples
from edgekd.learn.views.masking import mask_split

VOCABULARY, MASK, IGNORED = 60, 59, -100
SPECIAL = (0, 1, 2, 30, 59)
FIELD = MaskedTokens(vocabulary=VOCABULARY, mask_token=MASK, special=SPECIAL)
DATA = Dataset(
    task="masked-language-modelling",
    inputs={"text": Tokens(vocabulary=VOCABULARY, usual=20, longest=90)},
    targets={"masked_tokens": FIELD},
)


def make_rows(count: int, seed: int = 0, least: int = 5) -> dict[str, RaggedRows]:
    """Texts of ordinary tokens with special ones at the ends and within."""
    draw = np.random.default_rng(seed)
    texts = []
    for length in draw.integers(least, 90, count):
        text = draw.choice(np.setdiff1d(np.arange(VOCABULARY), SPECIAL), length).astype(np.int32)
        text[draw.random(length) < 0.1] = 30
        text[0], text[-1], text[1] = 1, 2, 7
        texts.append(text)
    asked = [np.where(np.isin(text, SPECIAL), IGNORED, text).astype(np.int32) for text in texts]
    none = np.zeros(0, np.int32)
    return {"text": from_rows(texts, none), "masked_tokens": from_rows(asked, none)}


ROWS = make_rows(400)
SAMPLES = Samples(dataset=DATA, rows=ROWS, views=Views(count=4), seed=5)


def mask(indices: np.ndarray, seed: int = 5, view: int = 1) -> tuple[list[list[int]], ...]:
    found = mask_samples(DATA, ROWS, indices, seed, view)
    return tuple([row.tolist() for row in found[name]] for name in ("text", "masked_tokens"))


def test_the_masks_of_a_sample_are_its_own_in_any_batch_and_order() -> None:
    text, wanted = mask(np.arange(400))
    order = np.random.default_rng(1).permutation(400)
    shuffled, labels = mask(order)
    assert shuffled == [text[at] for at in order] and labels == [wanted[at] for at in order]
    for at in (0, 17, 399):
        assert mask(np.array([at])) == ([text[at]], [wanted[at]])
    assert mask(np.arange(400)) == (text, wanted)
    assert mask(np.array([3, 3]))[1] == [wanted[3]] * 2


def test_other_seeds_views_and_samples_have_other_masks() -> None:
    _, wanted = mask(np.arange(400))
    for other in (mask(np.arange(400), seed=6)[1], mask(np.arange(400), view=2)[1]):
        differing = sum(a != b for a, b in zip(wanted, other, strict=True))
        assert differing > 350
    # the same text twice: its masks depend on where it stands, not on what it says
    twice = {name: from_rows([rows.row(3)] * 40, rows.values) for name, rows in ROWS.items()}
    found = mask_samples(DATA, twice, np.arange(40), 5, 1)["masked_tokens"]
    assert len({tuple(row.tolist()) for row in found}) > 30


def test_what_is_told_is_what_stood_there_and_nothing_else_is_changed() -> None:
    found = mask_samples(DATA, ROWS, np.arange(400), 5, 0)
    seen, wanted = found["text"].values, found["masked_tokens"].values
    whole, asked = ROWS["text"].values, ROWS["masked_tokens"].values
    told = wanted != IGNORED
    assert (wanted[told] == whole[told]).all() and (asked[told] != IGNORED).all()
    assert (seen[~told] == whole[~told]).all()
    assert np.isin(whole[~told], SPECIAL).sum() == np.isin(whole, SPECIAL).sum()
    counts = [int((row != IGNORED).sum()) for row in found["masked_tokens"]]
    assert counts == FIELD.count_compared(ROWS["masked_tokens"]).tolist()
    assert whole is ROWS["text"].values and (whole != MASK).all()  # nothing was written into it


def test_as_many_are_masked_replaced_and_kept_as_bert_has() -> None:
    """Within five standard deviations of a binomial; 15, 80, 10, 10 % of Devlin et al. 2019."""
    rows = make_rows(4000, seed=2, least=60)
    found = mask_samples(DATA, rows, np.arange(4000), 9, 3)
    told = found["masked_tokens"].values != IGNORED
    may = rows["masked_tokens"].values != IGNORED
    share = told.sum() / may.sum()
    assert abs(share - 0.15) < 0.005  # whole tokens of each text; it is no draw
    seen, own = found["text"].values[told], rows["text"].values[told]
    total = len(own)
    masked, kept = (seen == MASK).sum(), (seen == own).sum()
    replaced = total - masked - kept
    chance = 0.1 / (VOCABULARY - len(SPECIAL))  # a drawn token may be the own
    wanted = {"masked": 0.8, "kept": 0.1 + chance, "replaced": 0.1 - chance}
    for name, count in (("masked", masked), ("kept", kept), ("replaced", replaced)):
        p = wanted[name]
        assert abs(count - p * total) < 5 * math.sqrt(total * p * (1 - p)), (name, count / total)
    drawn = seen[(seen != MASK) & (seen != own)]
    assert not np.isin(drawn, SPECIAL).any()
    counts = np.bincount(drawn, minlength=VOCABULARY)
    ordinary = np.setdiff1d(np.arange(VOCABULARY), SPECIAL)
    expected = len(drawn) / len(ordinary)
    chi = ((counts[ordinary] - expected) ** 2 / expected).sum()
    assert (counts[ordinary] > 0).all() and chi < len(ordinary) + 5 * math.sqrt(2 * len(ordinary))
    # every place of a text is as likely as any other
    at = np.concatenate([np.arange(n) / n for n in rows["text"].lengths])
    assert abs(at[told].mean() - at[may].mean()) < 5 * 0.29 / math.sqrt(total)


@pytest.mark.parametrize(
    ("share", "mask_share", "random_share"), [(1.0, 1.0, 0.0), (0.5, 0.0, 1.0)]
)
def test_shares_are_those_of_the_field(
    share: float, mask_share: float, random_share: float
) -> None:
    field = MaskedTokens(
        vocabulary=VOCABULARY,
        mask_token=MASK,
        special=SPECIAL,
        share=share,
        mask_share=mask_share,
        random_share=random_share,
    )
    text, wanted = mask_rows(field, ROWS["text"], ROWS["masked_tokens"], np.arange(400), 0, 0)
    told = wanted.values != IGNORED
    if mask_share:
        assert told.sum() == (ROWS["masked_tokens"].values != IGNORED).sum()
        assert (text.values[told] == MASK).all()
    else:
        assert (text.values != MASK).all()
        assert (text.values[told] != wanted.values[told]).mean() > 0.9


def test_a_batch_shows_the_masks_of_its_view_and_epochs_go_round() -> None:
    indices = np.array([7, 2])
    batch = SAMPLES.batch(indices, 1)
    text, wanted = mask(indices)
    for row, told, ids, labels in zip(
        batch.inputs[0], batch.targets["masked_tokens"], text, wanted, strict=True
    ):
        assert row[: len(ids)].tolist() == ids and not row[len(ids) :].any()
        assert told[: len(labels)].tolist() == labels and (told[len(labels) :] == IGNORED).all()
    assert batch.inputs[1].sum(1).tolist() == [len(ids) for ids in text]

    def epoch(number: int, start: int = 0, workers: int = 0) -> list[np.ndarray]:
        words = {"epoch": number, "batch_size": 50, "seed": 1, "start": start, "workers": workers}
        return [each.inputs[0] for each in epoch_batches(SAMPLES, **words)]

    first = epoch(2)
    for resumed, workers in ((3, 0), (0, 2)):  # after a kill, and by other threads
        again = epoch(2, resumed, workers)
        assert all(map(np.array_equal, again, first[resumed:]))
    assert not all(map(np.array_equal, epoch(3), first))


def test_a_split_that_models_are_judged_on_is_masked_once_for_all_seeds() -> None:
    split = mask_split(DATA, ROWS)
    assert set(split) == set(ROWS)
    DATA.check(split, "test")
    again = mask_samples(DATA, ROWS, np.arange(400), 0, 0)
    assert np.array_equal(split["text"].values, again["text"].values)
    plain = Dataset(task="classification", inputs=DATA.inputs, targets={})
    assert mask_split(plain, ROWS) == ROWS  # of another task nothing is


def test_calibration_sees_masked_texts() -> None:
    found = list(Calibration(DATA, ROWS, np.arange(20), 3).batches(8))
    assert [len(inputs[0]) for inputs, _ in found] == [8, 8, 4]
    text = mask_samples(DATA, ROWS, np.arange(8), 3, 0)["text"]
    assert found[0][0][0][0, : text.lengths[0]].tolist() == text.row(0).tolist()
    assert all((inputs[0] == MASK).any() for inputs, _ in found)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    short = {**ROWS, "masked_tokens": make_rows(400, seed=3)["masked_tokens"]}
    with pytest.raises(InputError, match="want one for every token of a text"):
        mask_samples(DATA, short, np.arange(3), 0, 0)
    two = Dataset(
        task="", inputs={**DATA.inputs, "other": DATA.inputs["text"]}, targets=DATA.targets
    )
    with pytest.raises(InputError, match="got 2 texts, want one"):
        mask_samples(two, ROWS, np.arange(3), 0, 0)
