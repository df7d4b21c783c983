"""Whether compiling a model's training pays, measured in a process of its own: it can be stopped, and leaves nothing.

Run as a module it is that process: ``python -m edgekd.learn.compile_trial ORDER RESULT``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from edgekd import files
from edgekd import garbage
from edgekd.learn import arithmetic
from edgekd.learn import blueprint
from edgekd.learn import compilation
from edgekd.learn import heap
from edgekd.learn import model_inputs
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.settings import Arithmetic

LEAST_S = 30.0
"""What a trial must be allowed to take: torch's compiler seldom needs less."""
LARGEST_DIFFERENCE = {"fp32": 0.05, "bf16": 0.3, "fp16": 0.3}
"""Of the gradients, relative to their norm. Through twenty batch norms of noise rounding alone comes to 0.015."""


class CompileTrial(NamedTuple):
    """What a trial came to."""

    compile_s: float
    eager_s: float
    compiled_s: float
    """Of one step each, the fastest of some in turns."""
    difference: float
    """Of the gradients, compiled and eager, relative to their norm."""
    is_repeatable: bool
    """Whether two compiled steps gave the same bytes."""

    def explain_refusal(self, precision: str, steps: int) -> str:
        """Explain why a training of so many steps had better not be compiled; empty if it had."""
        if not self.is_repeatable:
            return "compiled, it does not give the same bytes twice"
        if not self.difference <= LARGEST_DIFFERENCE[precision]:
            return f"compiled, its gradients are off by {self.difference:.1g} of their norm"
        ratio = self.eager_s / self.compiled_s
        if ratio < arithmetic.WORTH:
            return f"compiled, its steps are {ratio:.2f} times as fast, want {arithmetic.WORTH}"
        saved_s = steps * (self.eager_s - self.compiled_s)
        if saved_s <= self.compile_s:
            return f"compilation takes {self.compile_s:.0f} s and saves {saved_s:.0f} s"
        return ""


def try_compiling(
    plan: Blueprint,
    batch_size: int,
    resolved: Arithmetic,
    folder: Path,
    allowed_s: float,
    *,
    allow_code: bool = False,
) -> CompileTrial | str:
    """Compile a model's training step and time it beside the eager one.

    Args:
        plan: what builds the model.
        batch_size: samples of a step.
        resolved: the arithmetic.
        folder: for the order and the result.
        allowed_s: after so long it is stopped, with all that it started.
        allow_code: whether ``python:`` references may run.

    Returns:
        What it came to, or in one sentence why it came to nothing.
    """
    order, result = folder / "order.json", folder / "result.json"
    asked = {"plan": plan.model_dump(mode="json"), "batch_size": batch_size}
    asked |= {"resolved": resolved.model_dump(), "allow_code": allow_code}
    order.write_bytes(files.canonical_json(asked))
    told = folder / "trial.log"
    with told.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "edgekd.learn.compile_trial", str(order), str(result)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            child.wait(timeout=allowed_s)
        except subprocess.TimeoutExpired:
            return f"compilation takes longer than the {allowed_s:.0f} s that a trial may take"
        finally:
            _end_group(child)
    if child.returncode or not result.is_file():
        lines = told.read_text(errors="replace").split("\n")
        reason = next(
            (line for line in reversed(lines) if line.strip()), f"exit {child.returncode}"
        )
        return f"it cannot be compiled: {reason.strip()[:300]}"
    return CompileTrial(**json.loads(result.read_bytes()))


def measure(model: nn.Module, inputs: Inputs, resolved: Arithmetic) -> CompileTrial:
    """Compile the training pass of `model` and time it, here.

    Raises:
        Exception: whatever torch's compiler raises.
    """
    kind, dtype = inputs[0].device.type, arithmetic.AUTOCAST[resolved.precision]
    inputs = tuple(arithmetic.to_memory_format(each, resolved.channels_last) for each in inputs)
    order = torch.channels_last if resolved.channels_last else torch.contiguous_format
    model.to(inputs[0].device, memory_format=order).train()
    eager = model.forward
    refused: list[str] = []
    took: dict[str, list[float]] = {"eager": [], "compiled": []}
    gradients: dict[str, list[list[torch.Tensor | None]]] = {"eager": [], "compiled": []}
    with compilation.compiled_training(model, refused.append) as compiled:
        assert compiled is not None
        for _ in range(arithmetic.MEASURED_STEPS + 1):  # in turns: a slow moment falls on both
            for name, forward in (("eager", eager), ("compiled", model.forward)):
                start = time.perf_counter()
                with torch.random.fork_rng(), compilation.hold_buffers(model):
                    with torch.autocast(kind, dtype, enabled=dtype is not None):
                        _, given = compilation.run_both_ways(model, forward, inputs)
                    if kind == "cuda":
                        torch.cuda.synchronize()
                took[name].append(time.perf_counter() - start)
                gradients[name] = [*gradients[name][-1:], given]
    if not compiled.is_compiled:
        raise RuntimeError(refused[0] if refused else "hooks read inside the model")
    fastest = {name: min(each[1:]) for name, each in took.items()}
    return CompileTrial(
        compile_s=took["compiled"][0] - fastest["compiled"],
        eager_s=fastest["eager"],
        compiled_s=fastest["compiled"],
        difference=_difference(gradients["eager"][-1], gradients["compiled"][-1]),
        is_repeatable=_are_equal(*gradients["compiled"]),
    )


def _difference(want: list[torch.Tensor | None], got: list[torch.Tensor | None]) -> float:
    pairs = [
        (a.double(), b.double())
        for a, b in zip(want, got, strict=True)
        if a is not None and b is not None
    ]
    off = sum(float((a - b).square().sum()) for a, b in pairs)
    whole = sum(float(a.square().sum()) for a, _ in pairs)
    return (off / max(whole, 1e-300)) ** 0.5


def _are_equal(one: list[torch.Tensor | None], other: list[torch.Tensor | None]) -> bool:
    return all(
        a is b if a is None or b is None else torch.equal(a, b)
        for a, b in zip(one, other, strict=True)
    )


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Whatever of the trial still runs: the C++ compiler, too."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _end_with_parent() -> None:
    """The pipe ends with who holds its other end, however that ends."""

    def watch() -> None:
        os.read(0, 1)
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(order: Path, result: Path) -> None:
    """Carry out an order of `try_compiling`."""
    asked = json.loads(order.read_bytes())
    resolved = Arithmetic.model_validate_json(json.dumps(asked["resolved"]))
    plan = Blueprint.model_validate_json(json.dumps(asked["plan"]))
    with arithmetic.deterministic_torch(0, resolved.threads), heap.keep_freed_memory():
        model = blueprint.build(plan, allow_code=asked["allow_code"])
        made = model_inputs.make_noise(plan.interface, asked["batch_size"])
        inputs = tuple(each.to(arithmetic.choose_device()) for each in made)
        trial = measure(model, inputs, resolved)
    files.write_bytes(result, files.canonical_json(trial._asdict()))


if __name__ == "__main__":
    _end_with_parent()
    garbage.own_process()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
