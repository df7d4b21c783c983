"""Source `text-corpus`: running text for language models, from text files or the rows of a list, in blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.learn.data.blocks import Blocks
from edgekd.learn.data.blocks import SplitShares
from edgekd.learn.data.blocks import count_tokens
from edgekd.learn.data.blocks import find_cut
from edgekd.learn.data.blocks import find_packed
from edgekd.learn.data.documents import list_documents
from edgekd.learn.data.documents import read_corpus
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import pins as pins
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.paired_blocks import pair_blocks
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.units import number_text


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    blocks_by: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The file, or the texts anywhere below a folder; and the files of the tokenizers if there are some.

    Raises:
        InputError: if it is not there, or has no text or too many.
    """
    named = [each for each in (tokenizer, blocks_by) if each]
    tokenizers = [path for each in named for path in find_tokenizer(each, data_dir)]
    return [*list_documents(reference, data_dir, allow_download), *tokenizers]


def read(
    *,
    reference: str,
    text: str | None = None,
    longest: Count = 128,
    tokenizer: str | None = None,
    packed: bool = True,
    validation: Fraction = 0.1,
    test: Fraction = 0.1,
    on_broken: str = "refuse",
    blocks_by: str | None = None,
    align: str = "text",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """Blocks of the texts of `reference`: a text file, a folder of them, or a list with a text a row (.jsonl, .json, .csv,
    .tsv; .gz; .parquet, .arrow, or a folder of those). What follows each token is what a model has to say.

    Documents are ordered by their hash and shared out to the splits one behind the other, so that no two splits hold the
    same place; a list with a column ``split`` says it itself.

    Args:
        reference: the file or folder.
        text: column of a list; None to tell it by its name, or as the only one with words.
        longest: tokens of a block.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of a text for its tokens.
        packed: documents stand one behind the other with a separator between two, and blocks are all of one length,
            what is left over at the end left out; a document sees what stands before it in its block. Else each document
            is cut by itself, and blocks are of many lengths.
        validation: share of the tokens that is kept for choices.
        test: share that is kept for the report.
        on_broken: ``refuse`` stops at the first text that cannot be used, ``skip`` leaves them out and lists them.
        blocks_by: another tokenizer, empty for bytes, whose blocks of `longest` tokens these are, in this one's tokens; the
            source then says which token answers to which of the other's, too.
        align: how, a name of `paired_blocks.ALIGNMENTS`.

    Raises:
        InputError: naming the file that is no UTF-8, or the row without a text; if there is too little text, or too much.
    """
    reference = fetch(reference, data_dir, allow_download)
    spool = find_spool(reference, data_dir)
    encoding = open_encoding(tokenizer, data_dir)
    if spool is not None:
        spool.require_same("text-corpus", {"text": text}, {"text": None})
        encoding = spool.open_encoding(tokenizer, data_dir)
    cutting = encoding if blocks_by is None else open_encoding(blocks_by or None, data_dir)
    beside = None if blocks_by is None else encoding
    skipped: list[str] = []
    shares = SplitShares(validation, test)
    corpus = read_corpus(
        reference, data_dir, cutting, text, shares, on_broken, skipped, beside, spool
    )
    stream, of_split = corpus.stream, corpus.parts
    find = find_packed if packed else find_cut
    ranges = {name: find(parts, longest) for name, parts in of_split.items()}
    blocks = {name: stream.make_blocks(each) for name, each in ranges.items()}
    for name, each in blocks.items():
        if not len(each.tokens):
            length = count_tokens(of_split[name])
            raise InputError(
                f"{reference}, {name} split: got {number_text(length, cutting.unit)}, want more than a block of {longest}",
                hint="longest: a smaller number, beside the source's name, makes shorter blocks",
            )
    paired = {}
    if corpus.beside is not None:
        filled = int(encoding.describe(1).get("padding", 0))
        paired = {
            name: pair_blocks(stream, each, corpus.beside, filled, align)
            for name, each in ranges.items()
        }
        blocks = {name: each.blocks for name, each in paired.items()}
    described = encoding.describe(
        max(int(each.tokens.lengths.max()) for each in blocks.values()), special=False
    )
    total = sum(len(each.tokens) for each in blocks.values())
    note = (
        f"{number_text(corpus.documents, 'document')} in {number_text(total, 'block')} of at most "
        f"{number_text(longest, cutting.unit)}, {'packed' if packed else 'each document by itself'}"
    )
    return Source(
        {name: _rows(each) for name, each in blocks.items()},
        {
            "text": FieldWords("tokens", described),
            "next_tokens": FieldWords("next-tokens", {"vocabulary": described["vocabulary"]}),
            "text_bytes": FieldWords(
                "number", {"columns": ("bytes",), "mean": (0.0,), "std": (1.0,)}
            ),
        },
        (note,),
        tuple(skipped),
        tokenizer=encoding.file,
        places={name: each.places for name, each in paired.items()},
    )


def _rows(blocks: Blocks) -> dict[str, Any]:
    return {
        "text": blocks.tokens,
        "next_tokens": blocks.following,
        "text_bytes": blocks.sizes[:, None].astype(np.float32),
    }
