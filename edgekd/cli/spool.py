"""``edgekd spool``: a stream of samples, perhaps without an end, becomes shards that a recipe can name."""

from __future__ import annotations

from pathlib import Path

import click

from edgekd.cli import options as shared
from edgekd.cli.screen import echo
from edgekd.cli.screen import get_volume
from edgekd.cli.screen import print_json


@click.command(
    epilog="Examples: edgekd spool huggingface:uoft-cs/cifar10 photos --image-column img --allow-download --take 20000; "
    "edgekd spool webdataset:https://host/part-{000..127}.tar photos --allow-download; "
    "curl https://host/endless.tar | edgekd spool - photos --take 50000; "
    "edgekd spool python:camera:frames photos --allow-code --take 5000; "
    "edgekd spool '{name: text-corpus, reference: texts, tokenizer: tokenizer.json}' tokens; "
    "edgekd spool jsonl:OWNER/NAME tokens --allow-download; "
    "edgekd spool text-corpus:- tokens --take 1000000 < endless.jsonl"
)
@click.argument("stream")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--take", type=click.IntRange(1), help="How many samples at most.")
@click.option("--split", default="train", show_default=True, help="What the samples are for.")
@click.option(
    "--from-split",
    default="train",
    show_default=True,
    help="Split of a name on the hub, or of a folder of Parquet files.",
)
@click.option("--subset", help="Configuration of a name on the hub.")
@click.option("--image-column", default="image", show_default=True, help="Of Parquet or the hub.")
@click.option("--label-column", default="label", show_default=True, help="Of Parquet or the hub.")
@click.option("--label", help="Ending of files of labels in tar shards.")
@click.option("--label-key", help="Of the label in a JSON file of tar shards.")
@click.option("--skip-broken", is_flag=True, help="Leave out what cannot be used, and list it.")
@shared.allow_code
@shared.allow_download
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    stream: str,
    folder: Path,
    take: int | None,
    split: str,
    from_split: str,
    subset: str | None,
    image_column: str,
    label_column: str,
    label: str | None,
    label_key: str | None,
    skip_broken: bool,
    allow_code: bool,
    allow_download: bool,
    as_json: bool,
) -> None:
    """Write the encoded images and labels of STREAM to tar shards in FOLDER, which a recipe reads as webdataset:FOLDER; or
    the tokens of its texts to shards that a recipe reads as SOURCE:FOLDER.

    Of images STREAM is webdataset: and a shard, a range of them, paths or URLs; huggingface: and a Parquet file, a folder of them or
    a name on the hub; python:package.module:function, which yields (image, label); or -, a tar on standard input. Of texts it
    is text-corpus, masked-text, jsonl, text-csv, text-pairs or tagged-text, as a recipe says it, with a file or folder of JSON
    lines, CSV, Parquet or running text, a name on the hub, python:package.module:function, or -, JSON lines on standard input.
    What need not end needs --take. After a kill the same command goes on where it was, and ends in the same bytes; with a larger --take it
    takes more.
    """
    from edgekd.cli.sources import read_source
    from edgekd.display import make_display
    from edgekd.learn.streams.image_shards import IMAGES
    from edgekd.learn.streams.rows import RowWords
    from edgekd.learn.streams.spool import spool_samples
    from edgekd.learn.streams.texts import find_texts
    from edgekd.learn.streams.texts import spool_texts
    from edgekd.units import number_text

    said = read_source(stream)
    texts = find_texts(said)
    loud = get_volume()
    with make_display(quiet=loud.quiet, verbose=loud.verbose) as progress:
        if texts is not None:
            made = spool_texts(
                texts,
                folder,
                progress,
                split=split,
                take=take,
                skip_broken=skip_broken,
                words=RowWords(from_split, allow_code=allow_code, allow_download=allow_download),
            )
        else:
            from edgekd.learn.streams.samples import StreamWords
            from edgekd.learn.streams.samples import open_samples

            words = StreamWords(
                *(label, label_key, image_column, label_column, subset, from_split),
                *(allow_code, allow_download),
            )
            made = spool_samples(
                open_samples(stream, words),
                folder,
                progress,
                source=stream,
                form=IMAGES,
                split=split,
                take=take,
                skip_broken=skip_broken,
            )
    if as_json:
        shards = [each._asdict() for each in made.shards]
        print_json({**made._asdict(), "samples": made.samples, "shards": shards})
        return
    counted = f"{number_text(made.samples, 'sample')} in {number_text(len(made.shards), 'shard')}"
    broken = f", {len(made.skipped)} left out" if made.skipped else ""
    source = "webdataset" if texts is None else texts.name
    echo(f"{folder}: {counted}{broken}; data: {{source: {source}:{folder}}}")
