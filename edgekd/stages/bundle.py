"""Stage `bundle`: the chosen student, packed so that a device can check it."""

from __future__ import annotations

import json
from typing import Any

import edgekd
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.tokenizer import FILE as TOKENIZER


class BundleConfig(Settings):
    """Name and lineage that the bundle states."""

    name: str
    """Of the recipe."""
    lineage: dict[str, str] = {}
    """Label of each step to the key of its result."""
    more: tuple[str, ...] = omit_default(())
    """Profiles of further files that answer at some sizes; empty of the float one."""


def run(config: BundleConfig, given: Given, context: Context) -> Made:
    """Give the files of a bundle, named ``bundle/<file>``.

    Takes model, golden, parity (of the student), data, rows, choice and, for the card, test; tokenizer.json, where the
    data have one; of each further file ``<profile>/model``, ``<profile>/golden`` and ``<profile>/parity``.

    Raises:
        ValueError: if nothing was chosen.
    """
    from edgekd import dataset
    from edgekd.bundle import write as bundle_write
    from edgekd.interface import to_json
    from edgekd.report import card
    from edgekd.task import interface_of
    from edgekd.tasks import load_task

    values: dict[str, Any] = {
        name: json.loads(given[name].read_bytes()) if name in given else {}
        for name in ("data", "rows", "choice", "parity", "test")
    }
    values["lineage"] = config.lineage
    found = dataset.read(given["data"])
    task = load_task(found.task, allow_code=context.allow_code)
    interface = interface_of(task, found)
    values["interface"] = to_json(interface)
    chosen = values["choice"]["chosen"]
    made = bundle_write.write(
        context.folder / "bundle",
        name=config.name,
        version=edgekd.__version__,
        model=given["model"],
        golden=given["golden"],
        dataset=found,
        interface=interface,
        metric=task.score,
        rows=values["rows"],
        chosen=chosen,
        created_from=config.lineage,
        parity=values["parity"],
        card=card.card_text(config.name, edgekd.__version__, values),
        tokenizer=given[TOKENIZER].read_bytes() if TOKENIZER in given else b"",
        by_size=values["choice"].get("by_size"),
        more={
            profile: bundle_write.MoreModel(
                given[f"{profile}/model"],
                given[f"{profile}/golden"],
                json.loads(given[f"{profile}/parity"].read_bytes()),
            )
            for profile in config.more
        },
        fused=given.get("fused"),
        generation=given["generation"].read_bytes() if "generation" in given else b"",
    )
    return {f"bundle/{name}": path for name, path in made.items()}


STAGE = Stage("bundle", BundleConfig, run, packages=("edgekd", "Jinja2"))
