"""The training pass of a model, compiled by torch: the same bytes at every run, and eager where that cannot be.

What runs compiled is decided by the call alone: the pass that learns, in the shapes of the first batch, while nobody
reads inside the model. Anything else runs as it is. So nothing depends on how often a model was called before, and a
run that goes on after a kill computes what it would have computed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import nn

from edgekd import files
from edgekd.errors import MachineError
from edgekd.learn import arithmetic
from edgekd.learn.forward_pass import as_tuple

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
HEADERS = {"_HEADER_DIR": "headers", "_HEADER_LOCK_DIR": "headers/locks"}
"""Where torch keeps 150 MB below the system's temporary folder, whatever `CACHE_VARIABLE` says: its names for that."""


class CompiledForward:
    """Stands as the ``forward`` of a model while it is trained.

    Args:
        model: whose forward it is.
        note: is told, in one sentence, why the model runs eagerly.
    """

    def __init__(self, model: nn.Module, note: Callable[[str], None]) -> None:
        self.model, self.note = model, note
        self.eager: Callable[..., Any] = model.forward
        self.compiled: Callable[..., Any] | None = None
        self.is_compiled: bool | None = None
        """None until the first batch."""
        self.expected: bool | None = None
        """What it was before a kill; None if nobody knows."""
        self.is_told = False
        """Whether it was said that somebody reads inside the model."""

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if named or not self._learns(inputs):
            return self.eager(*inputs, **named)
        if self._is_read_inside():
            if not self.is_told:
                self.note("torch.compile: the model runs eagerly: its layers are read")
            self.is_told = True
            return self.eager(*inputs)
        if self.is_compiled is None:
            self._compile(inputs)
        if self.compiled is None:
            return self.eager(*inputs)
        # What torch would compile anew runs as it is: else bytes would tell what had run before.
        with torch.compiler.set_stance("eager_on_recompile"):
            return self.compiled(*inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Callable[..., Any]:
        """A copy of the model runs as it is."""
        other = memo[id(self.model)]
        copied: Callable[..., Any] = type(other).forward.__get__(other)
        return copied

    def _learns(self, inputs: tuple[Any, ...]) -> bool:
        """Return whether this is a pass that learns."""
        if not (self.model.training and torch.is_grad_enabled()):
            return False
        return all(isinstance(each, Tensor) and not each.requires_grad for each in inputs)

    def _is_read_inside(self) -> bool:
        return any(
            module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
            for module in self.model.modules()
            if module is not self.model
        )

    def _compile(self, inputs: tuple[Tensor, ...]) -> None:
        """Compile for such inputs, both passes, and change nothing of the model."""
        reason = ""
        try:
            with _settings(), hold_buffers(self.model), arithmetic.hold_random_states():
                compiled = torch.compile(self.eager, fullgraph=True, dynamic=False)
                run_both_ways(self.model, compiled, inputs)
                self.compiled = compiled
        except Exception as error:  # whatever a model of anybody's makes torch's compiler raise
            reason = describe_failure(error)
            self.note(f"torch.compile: the model cannot be compiled and runs eagerly: {reason}")
        self.is_compiled = self.compiled is not None
        if self.expected not in (None, self.is_compiled):
            before, now = ("compiled", "eagerly") if self.expected else ("eagerly", "compiled")
            raise MachineError(
                f"compile: the training ran {before} until it was stopped, and runs {now} here: {reason or 'it compiles'}",
                hint="compile: false, in that train, begins it anew",
            )


@contextmanager
def compiled_training(
    model: nn.Module, note: Callable[[str], None], why_not: str = ""
) -> Iterator[CompiledForward | None]:
    """Let `model` learn compiled, inside; nothing where there is a reason not to.

    Args:
        model: its ``forward`` is stood in for, and put back.
        note: is told why it runs eagerly, if it does.
        why_not: a reason known beforehand; empty if there is none.
    """
    if why_not:
        note(f"torch.compile: the model runs eagerly: {why_not}")
        yield None
        return
    forward = CompiledForward(model, note)
    model.forward = forward
    try:
        yield forward
    finally:
        del model.forward


def cache_folder() -> Path:
    """Return where compiled code lies: where the user tells torch to put it, else in edgekd's part of the user's cache.

    It holds programs, so it is nobody else's to write, unlike a store, which others may share. Nothing is made.
    """
    import platformdirs
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    stated = os.environ.get(CACHE_VARIABLE)
    if stated and stated != default_cache_dir():  # which torch itself writes there
        return Path(stated)
    return platformdirs.user_cache_path("edgekd") / "compiled"


def run_both_ways(
    model: nn.Module, forward: Callable[..., Any], inputs: tuple[Tensor, ...]
) -> tuple[Tensor, list[Tensor | None]]:
    """Run a forward and a backward pass; gives a loss of all outputs, and its gradients by the parameters that learn."""
    outputs = [each for each in _tensors(forward(*inputs)) if each.is_floating_point()]
    loss = torch.stack([each.float().square().mean() for each in outputs]).sum()
    moved = [each for each in model.parameters() if each.requires_grad]
    return loss, list(torch.autograd.grad(loss, moved, allow_unused=True))


@contextmanager
def hold_buffers(model: nn.Module) -> Iterator[None]:
    """Inside, the model may run as in training: its statistics are put back."""
    before = [(each, each.detach().clone()) for each in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for each, value in before:
                each.copy_(value)


def describe_failure(error: BaseException) -> str:
    """Describe in one line why torch's compiler gave up."""
    lines = [line.strip() for line in str(error).splitlines()]
    return f"{type(error).__name__}: {next(filter(None, lines), '')}"[:300]


def _tensors(outputs: Any) -> Iterator[Tensor]:
    for each in outputs.values() if isinstance(outputs, dict) else as_tuple(outputs):
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, dict | tuple):
            yield from _tensors(each)


@contextmanager
def _settings() -> Iterator[None]:
    """Torch's compiler so that it gives the same code at every run, and starts no processes that stay.

    Raises:
        MachineError: if its cache cannot be written.
    """
    from torch._inductor import codecache
    from torch._inductor import config

    folder = files.make_folder(cache_folder())
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(folder)
    stated = {"deterministic": True, "fallback_random": True, "compile_threads": 1}
    try:
        with ExitStack() as stack:
            stack.enter_context(config.patch(stated))
            for name, place in HEADERS.items():
                if hasattr(codecache, name):
                    stack.callback(setattr, codecache, name, getattr(codecache, name))
                    setattr(codecache, name, str(folder / place))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # of torch's own modules, about torch's own modules
            yield
    finally:
        os.environ.pop(CACHE_VARIABLE)
        if before is not None:
            os.environ[CACHE_VARIABLE] = before
