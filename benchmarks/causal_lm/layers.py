"""Which layers of a decoder a smaller one begins with: those that change most what passes through them.

    python benchmarks/causal_lm/layers.py examples/causal-lm/recipe.yaml --output benchmarks/causal_lm/layers.json

A layer's influence is 1 less the mean cosine of what goes in and what comes out, over the tokens of the first `BLOCKS` blocks
of the validation split (Men et al. 2024, arXiv:2403.03853, eq. 2). For each count of layers: bits per byte of that text before
anything is learned, with the most influential ones and with as many spread evenly over the depth. The first and the last are
always among the latter.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd import recipe as recipes
from edgekd import run
from edgekd.bench.machine import fingerprint
from edgekd.display import make_display
from edgekd.learn import blueprint
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.learn.evaluation import read_split
from edgekd.plan import learning
from edgekd.stage import Bindings
from edgekd.walk import Walker
from edgekd.walk import open_store

BLOCKS, COUNTS = 8, (20, 16, 12)


def load_teacher(path: Path, store_folder: Path) -> tuple[nn.Module, EvaluationSplit]:
    """The recipe's teacher and the first blocks of its validation split."""
    options = run.Options(run_dir=Path("runs"), store=store_folder)
    with open_store(options) as store, make_display(quiet=False, verbose=True) as progress:
        here = fingerprint.machine_key()
        walker = Walker(store, options, progress, Bindings(here, here))
        for step in learning.steps(recipes.load(path), path.parent, (), options):
            if step.label in ("open-teacher", "data", "teacher"):
                walker.run_step(step)
        files = (walker.path("teacher", name) for name in ("blueprint.json", "weights.safetensors"))
        given = {"data": walker.path("data", "data.json")}
        split = read_split(given | {"validation": walker.path("data", "validation")})
        rows = {name: each[:BLOCKS] for name, each in split.rows.items()}
        return blueprint.load(*files), split._replace(rows=rows)


def measure_influence(
    layers: Sequence[nn.Module], split: EvaluationSplit, model: nn.Module
) -> list[float]:
    """Of each layer; of all tokens of the split."""
    found: list[float] = []

    def compare(_: nn.Module, given: tuple[Tensor, ...], out: Any) -> None:
        after = out[0] if isinstance(out, tuple) else out
        alike = F.cosine_similarity(given[0].float(), after.float(), dim=-1)
        found.append(1 - float(alike.mean()))

    hooks = [layer.register_forward_hook(compare) for layer in layers]
    split.outputs(model)
    for hook in hooks:
        hook.remove()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--store", type=Path)
    said = parser.parse_args()
    output, store = said.output.resolve(), (said.store or run.default_store()).resolve()
    os.chdir(said.recipe.parent)
    model, split = load_teacher(Path(said.recipe.name), store)
    decoder: Any = model.network.model  # type: ignore[union-attr]
    layers = list(decoder.layers)
    influence = measure_influence(layers, split, model)
    rows = []
    for count in COUNTS:
        most = sorted(sorted(range(len(layers)), key=lambda at: -influence[at])[:count])
        spread = [round(at * (len(layers) - 1) / (count - 1)) for at in range(count)]
        for name, kept in (("most influential", most), ("spread evenly", spread)):
            decoder.layers = nn.ModuleList([layers[at] for at in kept])
            rows.append({"layers": name, "kept": kept, "bits_per_byte": split.score(model, "bf16")})
            print(json.dumps(rows[-1]), flush=True)
    result = {
        "command": "python benchmarks/causal_lm/layers.py examples/causal-lm/recipe.yaml --output benchmarks/causal_lm/layers.json",
        "tokens": int((torch.from_numpy(split.targets["next_tokens"]) >= 0).sum()),
        "influence": [round(each, 4) for each in influence],
        "rows": rows,
    }
    output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
