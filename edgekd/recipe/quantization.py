"""What a recipe that quantizes asks of its engines, and whether they give it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence

from edgekd.learn.quantize_settings import BlockSettings
from edgekd.profile import QUANTIZED
from edgekd.profile import has_blocks
from edgekd.profile import stored_precision
from edgekd.recipe.learning import QuantizeStep
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import find_quantization
from edgekd.recipe.target import AUTO
from edgekd.recipe.target import Target
from edgekd.recipe.text import Key
from edgekd.runtimes import RUNTIMES

INT8, INT4_BITS, INT4_OPSET = "int8", 4, 21
BLOCK_PROFILES = ("weight-blocks",)
"""Of `edgekd.profile.PROFILES`, those that store weights alone."""
OF_BLOCKS = tuple(name for name in BlockSettings.model_fields if name != "weights")
OF_ACTIVATIONS = (
    "calibration",
    "equalize",
    "correct_bias",
    "weight_bits",
    "layer_bits",
    "blocks",
    "score_drop",
)
"""Settings that say nothing of weights in blocks."""
Fault = tuple[Key, str]


def least_opset(steps: Sequence[LearningStep]) -> int:
    """The first ONNX operator set that has what a recipe quantizes to: 21 brought int4."""
    last = find_quantization(steps)
    if last is None:
        return 0
    if last.words.weights is not None:
        return 0
    bits = (last.words.weight_bits, *last.words.layer_bits.values())
    return INT4_OPSET if min(bits) <= INT4_BITS else 0


def quantization_profiles(steps: Sequence[LearningStep]) -> tuple[str, ...] | None:
    """The profiles a recipe quantizes for; empty if the targets say, None if it does not quantize."""
    last = find_quantization(steps)
    if last is None:
        return None
    if last.words.weights is not None and last.words.profiles == AUTO:
        return BLOCK_PROFILES
    return () if last.words.profiles == AUTO else tuple(last.words.profiles)


def quantized_precision(steps: Sequence[LearningStep]) -> str | None:
    """What a quantized student's rows are called: ``int4`` where its weights alone are stored so, else ``int8``; None if
    the recipe does not quantize."""
    last = find_quantization(steps)
    return None if last is None else last.words.weights or INT8


def quantized_in_blocks(steps: Sequence[LearningStep]) -> bool:
    """Return whether a recipe stores weights alone in few bits."""
    last = find_quantization(steps)
    return last is not None and last.words.weights is not None


def usable_profiles(runtime: str, listed: Sequence[str]) -> list[str]:
    """The profiles that an engine runs of those `listed`; of all that quantize activations, where none is."""
    known = RUNTIMES[runtime].profiles
    return [name for name in known if (name in listed if listed else not has_blocks(name))]


def find_faults(steps: Sequence[LearningStep], targets: Sequence[Target]) -> Iterator[Fault]:
    """Yield what targets ask for that learn does not give: the key and a sentence."""
    yield from _settings(steps)
    listed = quantization_profiles(steps)
    blocks = quantized_in_blocks(steps)
    known = [name for target in targets for name in RUNTIMES[target.runtime].profiles]
    run = {name for name in known if has_blocks(name) == blocks}
    for number, name in enumerate(listed or ()):
        if name not in run:
            engines = ", ".join(target.runtime for target in targets)
            key = (*steps[-1].key, "profiles", number)
            yield key, f"got {name!r}, which no target runs ({engines}), want {_or(sorted(run))}"
    for number, target in enumerate(targets):
        yield from _target(target, ("targets", number), listed, quantized_precision(steps))


def _settings(steps: Sequence[LearningStep]) -> Iterator[Fault]:
    """Settings of the one kind of quantization that are said beside the other."""
    last = find_quantization(steps)
    if last is None:
        return
    blocks = quantized_in_blocks(steps)
    usual = QuantizeStep(step="quantize")
    for name in OF_ACTIVATIONS if blocks else OF_BLOCKS:
        value = getattr(last.words, name)
        if value != getattr(usual, name):
            want = (
                "want it left out: only weights are quantized"
                if blocks
                else ("want weights: int4 or int8 beside it")
            )
            yield (*last.key, name), f"got {value}, {want}"


def _target(
    target: Target, key: Key, listed: tuple[str, ...] | None, rounded: str | None
) -> Iterator[Fault]:
    known = RUNTIMES[target.runtime].profiles
    if target.capability is not None and "capability" not in RUNTIMES[target.runtime].options:
        yield (
            (*key, "capability"),
            f"got {target.capability!r}, which {target.runtime} does not take",
        )
    asked = [] if target.precision == AUTO else [p for p in target.precision if p in QUANTIZED]
    if listed is None:
        for precision in asked:
            want = "want a `quantize` step at the end of learn"
            stored = stored_precision(precision)
            want += f" with weights: {stored}" if stored != INT8 else ""
            yield (*key, "precision"), f"got {precision!r}, {want}"
        if not asked and target.profile != AUTO:
            want = "want a `quantize` step at the end of learn"
            yield (*key, "profile"), f"got {target.profile!r}, {want}"
        return
    left = usable_profiles(target.runtime, listed)
    for precision in asked:
        if stored_precision(precision) != rounded:
            yield (*key, "precision"), f"got {precision!r}, want {rounded!r}, as learn quantizes"
    if target.profile != AUTO and target.profile not in left:
        who = (
            f"which {target.runtime} does not run"
            if target.profile not in known
            else ("for which nothing is quantized")
        )
        yield (*key, "profile"), f"got {target.profile!r}, {who}, want {_or([AUTO, *left])}"
    elif asked and not left:
        kind = any(map(has_blocks, listed))
        same = [name for name in known if has_blocks(name) == kind]
        want = f"want one of learn's profiles to be {_or(same)}" if same else "want it left out"
        yield (*key, "precision"), f"got {rounded!r} for {target.runtime}, {want}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)
