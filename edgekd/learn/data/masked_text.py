"""Source `masked-text`: running text for models that tell masked tokens, from text files or the rows of a list."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.fields.tags import IGNORED
from edgekd.learn.data.blocks import SplitShares
from edgekd.learn.data.blocks import count_tokens
from edgekd.learn.data.documents import list_documents
from edgekd.learn.data.documents import read_corpus
from edgekd.learn.data.encoding import TokenizerEncoding
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import pins as pins
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.formats.disk_array import DiskArray
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.tokenizer import MASKS
from edgekd.units import number_text


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The file, or the texts anywhere below a folder; and the file of the tokenizer.

    Raises:
        InputError: if it is not there, or has no text or too many.
    """
    return [
        *list_documents(reference, data_dir, allow_download),
        *find_tokenizer(tokenizer, data_dir),
    ]


def read(
    *,
    reference: str,
    text: str | None = None,
    longest: Count = 128,
    tokenizer: str | None = None,
    packed: bool = True,
    mask_token: str | None = None,
    share: Fraction = 0.15,
    mask_share: Fraction = 0.8,
    random_share: Fraction = 0.1,
    validation: Fraction = 0.1,
    test: Fraction = 0.1,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """Blocks of the texts of `reference`: a text file, a folder of them, or a list with a text a row, as `text-corpus` reads
    them. What is masked in a block is another choice in every view; in validation and test it is one for all.

    Of the tokens of a block that are not special `share` are asked for. In the place of one stands the mask token, any other
    token, or the token itself (Devlin et al. 2019).

    Args:
        reference: the file or folder.
        text: column of a list; None to tell it by its name, or as the only one with words.
        longest: tokens of a block, with those that begin and end a text.
        tokenizer: a tokenizer.json, or the folder it lies in.
        packed: documents stand one behind the other with a separator between two, and blocks are all of one length; else
            each document is cut by itself.
        mask_token: how the tokenizer calls it; None takes the usual names.
        share: of the tokens that are asked for; at least one of each block is.
        mask_share: of those, where the mask token stands.
        random_share: where any other token stands.
        validation: share of the tokens that is kept for choices.
        test: share that is kept for the report.
        on_broken: ``refuse`` stops at the first text that cannot be used, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the file that is no UTF-8, or the row without a text; if there is too little text, or too much; if
            there is no mask token, or no token that could be masked.
    """
    reference = fetch(reference, data_dir, allow_download)
    spool = find_spool(reference, data_dir)
    encoding = open_encoding(tokenizer, data_dir)
    if spool is not None:
        spool.require_same("masked-text", {"text": text}, {"text": None})
        encoding = spool.open_encoding(tokenizer, data_dir)
    if not isinstance(encoding, TokenizerEncoding):
        raise InputError(
            "masked-text: got texts as bytes, which have no mask, want a tokenizer with one",
            hint="tokenizer, beside the source's name, is a tokenizer.json or the folder it lies in",
        )
    mask = encoding.tokenizer.find_mask(mask_token)
    if mask is None:
        got = repr(mask_token) if mask_token else f"none of {', '.join(MASKS)}"
        raise InputError(
            f"masked-text: got {got} in the vocabulary, want its mask token",
            hint="mask_token, beside the source's name, says how the tokenizer calls it",
        )
    around = encoding.tokenizer.find_around()
    inside = longest - sum(map(len, around))
    if inside < 1:
        room = number_text(sum(map(len, around)), "token")
        raise InputError(f"longest: got {longest}, want room for the {room} around a text")
    special = tuple(sorted({*encoding.tokenizer.special, mask, *around[0], *around[1]}))
    skipped: list[str] = []
    corpus = read_corpus(
        reference,
        data_dir,
        encoding,
        text,
        SplitShares(validation, test),
        on_broken,
        skipped,
        spool=spool,
    )
    splits: dict[str, dict[str, RaggedRows]] = {}
    left = 0
    for name, parts in corpus.parts.items():
        blocks = corpus.stream.take(parts, inside, packed=packed)
        splits[name] = _find_asked(blocks, around, special)
        if not len(splits[name]["text"]):
            got = number_text(count_tokens(parts), "token")
            none = ", none of which can be masked" if len(blocks) else ""
            raise InputError(
                f"{reference}, {name} split: got {got}{none}, want a block of {inside}",
                hint="longest: a smaller number, beside the source's name, makes shorter blocks",
            )
        left += len(blocks) - len(splits[name]["text"])
    most = max(int(rows["text"].lengths.max()) for rows in splits.values())
    described = encoding.describe(most)
    total = sum(len(rows["text"]) for rows in splits.values())
    note = (
        f"{number_text(corpus.documents, 'document')} in {number_text(total, 'block')} of at most "
        f"{number_text(longest, 'token')}, {'packed' if packed else 'each document by itself'}"
    )
    if left:
        note += f"; {number_text(left, 'block')} of special tokens alone left out"
    masking: Mapping[str, Any] = {
        "vocabulary": described["vocabulary"],
        "mask_token": mask,
        "special": special,
        "share": float(share),
        "mask_share": float(mask_share),
        "random_share": float(random_share),
    }
    fields = {
        "text": FieldWords("tokens", described),
        "masked_tokens": FieldWords("masked-tokens", masking),
    }
    return Source(splits, fields, (note,), tuple(skipped), tokenizer=encoding.file)


def _find_asked(
    blocks: RaggedRows, around: tuple[tuple[int, ...], tuple[int, ...]], special: tuple[int, ...]
) -> dict[str, RaggedRows]:
    """The blocks between the tokens around a text, and the tokens of each that may be masked, `IGNORED` in the places of
    others; blocks without one are left out."""
    before, behind = (np.array(each, np.int32) for each in around)
    texts, asked, lengths = DiskArray(np.int32), DiskArray(np.int32), [0]
    for row in blocks:
        text = np.concatenate([before, row, behind])
        may_be = np.where(np.isin(text, special), np.int32(IGNORED), text)
        if (may_be != IGNORED).any():
            texts.extend(text)
            asked.extend(may_be)
            lengths.append(len(text))
    offsets = np.cumsum(lengths, dtype=np.int64)
    return {
        "text": RaggedRows(texts.view(), offsets),
        "masked_tokens": RaggedRows(asked.view(), offsets),
    }
