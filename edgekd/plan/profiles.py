"""Which Q/DQ file each target's int8 is compiled from."""

from __future__ import annotations

from collections.abc import Mapping

from edgekd.bench.machine import host
from edgekd.bench.machine import instructions
from edgekd.device import Device
from edgekd.devices import local
from edgekd.profile import stored_precision
from edgekd.recipe import Recipe
from edgekd.recipe import quantization
from edgekd.recipe.target import AUTO
from edgekd.recipe.target import Target

ARM = ("aarch64", "arm64")


def target_profiles(recipe: Recipe, device: Device) -> dict[str, str]:
    """The profile of each target by runtime; a target that runs it in float alone is not in it.

    Args:
        recipe: which targets there are and whether the student is quantized.
        device: the one that measures; asked only where the answer depends on it.

    Raises:
        MachineError: if it must be asked and is not reached.
    """
    listed = quantization.quantization_profiles(recipe.steps)
    if listed is None:
        return {}
    rounded = quantization.quantized_precision(recipe.steps)
    found = {target.runtime: _of(target, rounded, listed, device) for target in recipe.targets}
    return {runtime: profile for runtime, profile in found.items() if profile is not None}


def all_profiles(recipe: Recipe, targets: Mapping[str, str]) -> tuple[str, ...]:
    """All profiles that the student is exported in: those of the `targets`, and those the recipe lists."""
    return tuple(
        dict.fromkeys(
            (*targets.values(), *(quantization.quantization_profiles(recipe.steps) or ()))
        )
    )


def _of(target: Target, rounded: str | None, listed: tuple[str, ...], device: Device) -> str | None:
    if target.precision != AUTO and rounded not in {
        stored_precision(each) for each in target.precision
    }:
        return None
    if target.profile != AUTO:
        return target.profile
    return runtime_profile(target.runtime, listed, device)


def runtime_profile(runtime: str, listed: tuple[str, ...], device: Device) -> str | None:
    """The profile that an engine runs fastest on `device`; None if it runs none.

    Args:
        runtime: the engine.
        listed: those that are wanted; empty for any that quantizes activations.
        device: asked only where the answer depends on it.
    """
    left = quantization.usable_profiles(runtime, listed)
    if runtime != "onnxruntime" or len(left) < 2:
        return next(iter(left), None)
    own = fastest_profile(device)
    return own if own in left else left[0]


def fastest_profile(device: Device) -> str:
    """The profile ONNX Runtime runs fastest, and without loss, on the processor of `device`."""
    facts = host.describe_host(device).facts
    if facts.get("machine") in ARM:
        return "arm"
    flags = facts.get("flags") or ()
    if device is local.DEVICE:
        flags = instructions.usable_flags(flags)
    return "x86-no-vnni" if instructions.sums_in_16_bits(flags) else "x86"
