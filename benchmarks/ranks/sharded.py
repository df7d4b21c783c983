"""What two ranks hold of a teacher whose parameters they share out, and what it costs to ask it.

    python benchmarks/ranks/sharded.py --output benchmarks/ranks/sharded.json

A transformer of 85 million parameters, its weights in a file; each launch of two ranks loads it, whole or shared out,
and asks it four times. Memory is the most that a rank held of its own (anonymous pages, looked at every 2 ms; pages of
the mapped file that the system may take back are not counted), over what it held with all imported and no teacher.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch

from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.assembly.live_teacher import load_teacher
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel.blocks import count_values
from edgekd.learn.parallel.blocks import find_blocks
from edgekd.learn.parallel.sharding import count_held_bytes

SHAPE = image_classifier(classes=1000, channels=3, height=64, width=64)
PLAN = Blueprint(
    builder="vit-tiny", arguments={"dim": 768, "depth": 12, "heads": 12}, interface=SHAPE
)
ASKED = 4


class Watched:
    """The most anonymous memory of this process while it is open."""

    def __init__(self) -> None:
        self.before_bytes = self.most_bytes = _own_bytes()
        self._open = True
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while self._open:
            self.most_bytes = max(self.most_bytes, _own_bytes())
            time.sleep(0.002)

    def close(self) -> int:
        """Bytes over those before."""
        self._open = False
        self._thread.join()
        return max(self.most_bytes, _own_bytes()) - self.before_bytes


def _own_bytes() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def ask(folder: Path, sharded: bool) -> None:
    """As one of the ranks: load and ask; what was found is written to the folder."""
    torch.set_num_threads(1)
    ranks.count()
    inputs = PLAN.noise(1)
    paths = folder / "blueprint.json", folder / "weights.safetensors"
    loading = Watched()
    teacher = load_teacher(*paths, allow_code=False, sharded=sharded)
    loaded_bytes = loading.close()
    watched, took_s = Watched(), []
    for _ in range(ASKED):
        began_s = time.perf_counter()
        with torch.no_grad():
            answers = teacher(*inputs)
        took_s.append(time.perf_counter() - began_s)
    found = {
        "held_bytes": count_held_bytes(teacher),
        "most_while_loading_bytes": loaded_bytes,
        "more_while_asked_bytes": watched.close(),
        "pass_s": min(took_s),
        "answers": answers.double().sum().item(),
    }
    (folder / f"{'sharded' if sharded else 'whole'}-{ranks.rank()}.json").write_text(
        json.dumps(found)
    )


def measure() -> dict[str, Any]:
    """Launch two ranks for each way."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        torch.manual_seed(0)
        teacher = blueprint.build(PLAN)
        values = [4 * count_values(block) for block in find_blocks(teacher)]
        found["parameters_bytes"] = 4 * count_values(teacher)
        found["largest_block_bytes"] = max(values)
        found["blocks"] = len(values)
        blueprint.save(teacher, PLAN, folder)
        del teacher
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        for way in ("whole", "sharded"):
            command = [sys.executable, *launcher, __file__, "--ask", way, "--folder", place]
            settings = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
            subprocess.run(command, env=settings, check=True)
            found[way] = [json.loads((folder / f"{way}-{n}.json").read_text()) for n in (0, 1)]
    answers = {each["answers"] for way in ("whole", "sharded") for each in found[way]}
    return {**found, "same_answers": len(answers) == 1}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--ask", choices=("whole", "sharded"))
    parser.add_argument("--folder", type=Path)
    words = parser.parse_args()
    if words.ask:
        ask(words.folder, words.ask == "sharded")
        return
    command = " ".join(["python", "benchmarks/ranks/sharded.py", *sys.argv[1:]])
    text = json.dumps({"command": command, **measure()}, indent=1)
    if words.output:
        words.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
