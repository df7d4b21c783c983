"""Devices whose answers lie: one to three fields changed of what a real worker gave.

    python benchmarks/hostile/devices.py --count 500

The true answers are those of this machine's workers. Changed are fields of the result and of what carries
it, the lines it comes in, files that come with it and their names. What is done with them is in turn what
`bench`, `bench compare`, the scenarios, `verify`, `predict`, `gate`, the stage `compile` and a table of
layers do.
"""

from __future__ import annotations

import copy
import functools
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import numpy as np
from click.testing import CliRunner
from harness import Canaries

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgekd import bundle
from edgekd import devices
from edgekd.bench import lookup
from edgekd.bench.machine import host
from edgekd.bench.outputs import ANSWERS
from edgekd.bench.outputs import write_inputs
from edgekd.bundle import predict as bundle_predict
from edgekd.bundle import verify as bundle_verify
from edgekd.bundle.user_inputs import Question
from edgekd.cli import gate as cli_gate
from edgekd.cli.bench import command as bench_command
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices import local
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import compile as compile_stage
from tests import bench_example
from tests import bundle_example

TIMEOUT_S = 10.0
ENERGY = {
    "source": "rapl",
    "busy": [[150.0, 10.0, 500, 400]] * 6,
    "idle": [[50.0, 10.0, 400, 400]] * 2,
}
"""What a worker gives where there is a counter; few machines have one that can be read."""
NUMBERS = (0, -1, 1, 0.5, 2**31, 2**53, 2**63, 10**400, 1e308, float("nan"), float("inf"), True)


def odd_values(draw: random.Random, canaries: Canaries, found: Any) -> Any:
    """What may stand where something else stood."""
    names = [
        str(canaries.secret),
        "../../outside/secret.txt",
        "..",
        ".",
        "",
        "/dev/zero",
        "engine.json",
        "a\x1b[2Jb\u202e",
        "\ud800",
        "x" * 100_000,
        f"$(touch {canaries.marker})",
    ]
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    value = draw.choice([draw.choice(NUMBERS), draw.choice(names), None, [], {}, deep, [found], 5])
    if isinstance(found, dict) and draw.random() < 0.5:
        return {**found, draw.choice(names)[:300]: draw.choice([*names, *NUMBERS, found])}
    if isinstance(found, list) and found and draw.random() < 0.5:
        return draw.choice([found[:-1], [*found, value], found * 3, [value] * len(found)])
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside; of long lists, to their first."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from places(inner, (*path, index))


def lie(answer: dict[str, Any], draw: random.Random, canaries: Canaries) -> dict[str, Any]:
    """One field changed, renamed or left out."""
    changed = copy.deepcopy(answer)
    path = draw.choice([path for path in places(changed) if path])
    at = functools.reduce(lambda value, step: value[step], path[:-1], changed)
    kind = draw.random()
    if kind < 0.15:
        del at[path[-1]]
    elif kind < 0.25 and isinstance(at, dict):
        at[draw.choice(["../x", "\u202ex", "files", "x"])] = at.pop(path[-1])
    else:
        at[path[-1]] = odd_values(draw, canaries, at[path[-1]])
    return changed


class Liar:
    """A device that runs each order once for all cases, and changes what came of it in each."""

    true: dict[str, tuple[WorkerExit, Path]] = {}  # noqa: RUF012 (shared by all)

    def __init__(self, draw: random.Random, canaries: Canaries) -> None:
        self.draw, self.canaries = draw, canaries
        self.left = draw.choice((1, 1, 2, 3))

    def run(self, order: WorkerJob) -> WorkerExit:
        """As `Device.run`."""
        ended, files = self._truth(order)
        said = json.loads(ended.stdout.splitlines()[-1])
        said["token"] = order.spec["token"]
        if order.spec["job"] == "energy":
            said["result"] = ENERGY
        if order.goal is not None:
            shutil.copytree(files, order.goal, dirs_exist_ok=True)
        if self.left and self.draw.random() < 0.5:
            self.left -= 1
            if order.goal is not None and self.draw.random() < 0.3:
                self._spoil(order.goal)
            elif self.draw.random() < 0.1:
                return ended._replace(stdout=self._line(json.dumps(said).encode()))
            else:
                said = lie(said, self.draw, self.canaries)
                said.setdefault("token", order.spec["token"])
        return ended._replace(stdout=json.dumps(said).encode())

    def _truth(self, order: WorkerJob) -> tuple[WorkerExit, Path]:
        spec = {key: value for key, value in order.spec.items() if key not in ("token", "seed")}
        known = json.dumps([spec, sorted(order.reads)], sort_keys=True, default=str)
        if known not in Liar.true or not Liar.true[known][1].exists():
            files = Path(tempfile.mkdtemp(prefix="truth-"))
            Liar.true[known] = local.run(order._replace(goal=files)), files
        return Liar.true[known]

    def _spoil(self, goal: Path) -> None:
        """What a link brought is plain files of plain names; their bytes may be anything."""
        paths = sorted(goal.iterdir())
        path = self.draw.choice(paths) if paths else goal / "x"
        data = path.read_bytes() if path.exists() else b""
        objects = np.array([{}], dtype=object)
        kind = self.draw.randrange(5)
        if kind == 0:
            path.unlink(missing_ok=True)
        elif kind == 1:
            path.write_bytes(data[: self.draw.randrange(len(data) + 1)])
        elif kind == 2:
            with (goal / ANSWERS).open("wb") as file:
                np.save(file, objects, allow_pickle=True)
        elif kind == 3:
            values = self.draw.choice([np.nan, np.inf, 1e38])
            write_inputs({"logits": np.full((8, 3), values, np.float32)}, goal / ANSWERS)
        else:
            changed = bytearray(data)
            for _ in range(min(8, len(changed))):
                changed[self.draw.randrange(min(len(changed), 200))] = self.draw.randrange(256)
            path.write_bytes(bytes(changed))

    def _line(self, line: bytes) -> bytes:
        odd = [b"[" * 100_000, b"", line[:-1], b"{}", b"null", line + b"\n{}", b"\xff" * 100]
        return self.draw.choice(odd)


def stdout_of(command: Any, arguments: list[str]) -> None:
    """Run a verb; what it raises goes on."""
    done = CliRunner().invoke(command, arguments)
    print(done.stdout)
    if done.exception is not None:
        raise done.exception


BENCH = ["--runtime", "onnxruntime", "--processes", "1", "--budget", "20", "--device", "board"]
PAIRS = ["--runtime", "onnxruntime", "--pairs", "6", "--device", "board"]


def bench(folder: Path, board: Device) -> None:
    stdout_of(bench_command, [str(net(folder)), *BENCH, "--json"])


def bench_shown(folder: Path, board: Device) -> None:
    stdout_of(bench_command, [str(bundle_example.make(folder)), *BENCH])


def scenarios(folder: Path, board: Device) -> None:
    more = ["--scenario", "throughput", "--scenario", "cold-start", "--energy", "--rate", "30"]
    stdout_of(bench_command, [str(net(folder)), *BENCH, *more, "--sustained", "2", "--json"])


def compare(folder: Path, board: Device) -> None:
    stdout_of(bench_command, ["compare", str(net(folder)), str(net(folder)), *PAIRS])


def verify(folder: Path, board: Device) -> None:
    report = bundle_verify.verify(bundle_example.make(folder), timeout_s=TIMEOUT_S, device=board)
    print(report)
    bundle_verify.require_sound(report)


def predict(folder: Path, board: Device) -> None:
    found = bundle.load_bundle(bundle_example.make(folder))
    asked = [Question(str(n), {"images": np.full((1, 4, 4, 1), n, np.uint8)}, "") for n in range(8)]
    print(bundle_predict.predict(found, asked, top=3, timeout_s=TIMEOUT_S, device=board))


def gate(folder: Path, board: Device) -> None:
    (folder / "gates.yaml").write_text("size:\ncomplexity:\noperators:\nparity:\nmemory:\n")
    made = str(bundle_example.make(folder))
    stdout_of(
        cli_gate.command,
        [made, "--baseline", made, "--policy", str(folder / "gates.yaml"), "--device", "board"],
    )


def compiled(folder: Path, board: Device) -> None:
    (folder / "out").mkdir()
    context = Context(
        folder=folder / "out",
        checkpoints=folder / "checkpoints",
        seed=0,
        progress=Silent(),
        device=board,
    )
    config = compile_stage.CompileConfig(runtime="onnxruntime", timeout_s=TIMEOUT_S)
    made = compile_stage.run(config, {"model": net(folder)}, context)
    for name, path in made.items():
        if path.resolve().parent != (folder / "out").resolve():
            raise AssertionError(f"{name} lies at {path}")
        path.read_bytes()


def table(folder: Path, board: Device) -> None:
    how = lookup.LookupSettings("onnxruntime", rounds=1, turn_ns=1_000_000, timeout_s=TIMEOUT_S)
    print(lookup.times_us([net(folder)] * 2, how, device=board))


def net(folder: Path) -> Path:
    return bench_example.write_onnx(folder / "net.onnx")


USES: list[Callable[[Path, Device], None]] = [
    bench,
    bench_shown,
    scenarios,
    compare,
    verify,
    predict,
    gate,
    compiled,
    table,
]


def case(number: int, folder: Path, canaries: Canaries) -> None:
    """The case of `number`."""
    liar = Liar(random.Random(number), canaries)
    board = Device(f"board-{number}", liar.run)
    find = devices.find_device
    devices.find_device = lambda name: board if name == "board" else find(name)
    host.describe_host.cache_clear()
    try:
        USES[number % len(USES)](folder, board)
    finally:
        devices.find_device = find


ATTEMPTS = {"devices": case}
ENGINES = ("onnxruntime",)

if __name__ == "__main__":
    harness.main(ATTEMPTS, __doc__, Path(__file__), *ENGINES)
