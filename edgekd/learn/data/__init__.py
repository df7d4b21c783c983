"""The data sources, by the name a recipe uses; see `edgekd.learn.source` for what one is."""

from __future__ import annotations

from edgekd.table import Member
from edgekd.table import Table

_HERE = "edgekd.learn.data"
_IMAGES = {"images": "image", "labels": "class"}
_GIVEN = ("data_dir", "allow_code", "allow_download")
PAIRING = ("blocks_by", "align")
"""What a plan says of texts that are read for a teacher by its own tokenizer."""
PLACES = "places"
"""The file that says which of such a teacher's tokens answer to which of the student's, and its rows."""

_BUILT_IN: dict[str, Member] = {
    "digits": Member(
        f"{_HERE}.digits",
        "read",
        "1,797 real 8x8 digits that come with scikit-learn",
        _GIVEN,
        gives=_IMAGES,
    ),
    "turned-digits": Member(
        f"{_HERE}.turned_digits",
        "read",
        "those digits turned by up to 40 degrees, 12x12; the angle",
        _GIVEN,
        gives={"images": "image", "numbers": "number"},
    ),
    "digit-scenes": Member(
        f"{_HERE}.digit_scenes",
        "read",
        "one to four of them on a texture, 32x32; the digit of every pixel",
        _GIVEN,
        gives={"images": "image", "maps": "map"},
    ),
    "digit-crowds": Member(
        f"{_HERE}.digit_crowds",
        "read",
        "one to four of them, 24x24; which are there",
        _GIVEN,
        gives={"images": "image", "labels": "classes"},
    ),
    "fashion-mnist": Member(
        f"{_HERE}.fashion_mnist",
        "read",
        "70,000 real 28x28 garments (Xiao et al. 2017)",
        _GIVEN,
        gives=_IMAGES,
    ),
    "cifar10": Member(
        f"{_HERE}.cifar10",
        "read",
        "60,000 real 32x32 photographs, 10 classes, no pickle",
        _GIVEN,
        gives=_IMAGES,
    ),
    "cifar100": Member(
        f"{_HERE}.cifar100",
        "read",
        "60,000 real 32x32 photographs, 100 classes, no pickle",
        _GIVEN,
        gives=_IMAGES,
    ),
    "image-folder": Member(
        f"{_HERE}.image_folder",
        "read",
        "image-folder:DIR, one sub-folder a class",
        _GIVEN,
        gives=_IMAGES,
    ),
    "image-list": Member(
        f"{_HERE}.image_list",
        "read",
        "image-list:FILE, a CSV or JSON list of image files with labels",
        _GIVEN,
        gives=_IMAGES,
    ),
    "webdataset": Member(
        f"{_HERE}.webdataset",
        "read",
        "webdataset:DIR, tar shards of image files with labels",
        _GIVEN,
        gives=_IMAGES,
    ),
    "mask-folder": Member(
        f"{_HERE}.mask_folder",
        "read",
        "mask-folder:DIR, images/ and masks/, the class of every pixel",
        _GIVEN,
        gives={"images": "image", "maps": "map"},
    ),
    "npz": Member(
        f"{_HERE}.npz", "read", "npz:FILE, arrays without objects", _GIVEN, gives=_IMAGES
    ),
    "arrays": Member(
        f"{_HERE}.arrays",
        "read",
        "arrays:FILE.npz, an array for each input, no labels",
        _GIVEN,
        gives={"arrays": "array"},
    ),
    "images": Member(
        f"{_HERE}.images",
        "read",
        "images:DIR, pictures anywhere below a folder, no labels",
        _GIVEN,
        gives={"images": "image"},
    ),
    "jsonl": Member(
        f"{_HERE}.jsonl",
        "read",
        "jsonl:FILE, a text and its label a line, also .gz",
        _GIVEN,
        gives={"text": "tokens", "labels": "class"},
    ),
    "text-csv": Member(
        f"{_HERE}.text_csv",
        "read",
        "text-csv:FILE, a CSV or TSV file of texts with labels",
        _GIVEN,
        gives={"text": "tokens", "labels": "class"},
    ),
    "tagged-text": Member(
        f"{_HERE}.tagged_text",
        "read",
        "tagged-text:FILE, words with a tag each, JSON lines or columns",
        _GIVEN,
        gives={"text": "tokens", "tags": "tags"},
    ),
    "text-pairs": Member(
        f"{_HERE}.text_pairs",
        "read",
        "text-pairs:FILE, two texts a row that belong together",
        _GIVEN,
        gives={"text": "tokens", "pairs": "pairs"},
    ),
    "text-corpus": Member(
        f"{_HERE}.text_corpus",
        "read",
        "text-corpus:FILE or DIR, running text in blocks; what follows",
        (*_GIVEN, *PAIRING),
        gives={"text": "tokens", "next_tokens": "next-tokens", "text_bytes": "number"},
    ),
    "chat": Member(
        f"{_HERE}.chat",
        "read",
        "chat:FILE, conversations or prompts with completions; what is answered",
        _GIVEN,
        gives={"text": "tokens", "next_tokens": "next-tokens", "text_bytes": "number"},
    ),
    "masked-text": Member(
        f"{_HERE}.masked_text",
        "read",
        "masked-text:FILE or DIR, running text in blocks; what is masked",
        _GIVEN,
        gives={"text": "tokens", "masked_tokens": "masked-tokens"},
    ),
    "table": Member(
        f"{_HERE}.table",
        "read",
        "table:FILE, a CSV or TSV file of numbers, one column to be told",
        _GIVEN,
        inputs=("number",),
    ),
    "huggingface": Member(
        f"{_HERE}.huggingface",
        "read",
        "huggingface:DIR, Parquet file or name on the hub",
        _GIVEN,
        gives=_IMAGES,
    ),
    "python": Member(
        f"{_HERE}.python", "read", "python:package.module:function, with --allow-code", _GIVEN
    ),
}
SOURCES = Table("data source", _BUILT_IN, supplied=_GIVEN)
