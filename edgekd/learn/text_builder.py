"""Builds a text model of transformers for what the data and the task want of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import psutil
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn import transformers_config
from edgekd.learn.layer_choice import CHOSEN
from edgekd.learn.layer_choice import parse_layers
from edgekd.learn.text_network import POOLINGS
from edgekd.learn.text_network import TEXT_TYPES
from edgekd.learn.text_network import LayerStack
from edgekd.learn.text_network import TextNetwork
from edgekd.learn.text_network import TextType
from edgekd.learn.text_network import Use
from edgekd.learn.text_network import cut_lists
from edgekd.learn.text_network import find_stack
from edgekd.units import bytes_text

NEXT = "next_tokens"
"""The target of a model that tells what follows."""
CLASSES: dict[Use, str] = {
    "classes": "AutoModelForSequenceClassification",
    "tags": "AutoModelForTokenClassification",
    "vector": "AutoModel",
    "masked": "AutoModelForMaskedLM",
    "next": "AutoModelForCausalLM",
}
"""What of the package is built."""
MOST_UNPACKED = 16
"""Bytes in float32 that a byte of weights may become: 8 of 4 bits, and a scale less."""
LARGEST_HEAD_BYTES = 2**26
"""Of what a file of weights lacks: a head."""
_INSIDE = ("intermediate_size", "hidden_dim", "n_inner", "ffn_dim")
"""What model types call the width between the two linear layers behind attention."""


class TextKnobs(NamedTuple):
    """What a recipe changes of a configuration; 0 and empty leave it as it is."""

    layers: int = 0
    keep_layers: str = ""
    width: int = 0
    heads: int = 0
    inside: int = 0
    pooling: str = ""


def is_text(interface: Interface) -> bool:
    """Whether a model takes tokens and their mask, and, of two texts, types."""
    kinds = [end.kind for end in interface.inputs]
    return kinds in (["index", "mask"], ["index", "mask", "index"])


def build_text_network(
    package: Any,
    fields: Mapping[str, Any],
    interface: Interface,
    knobs: TextKnobs,
    *,
    is_bare: bool,
    weights_bytes: int | None = None,
    where: str,
) -> TextNetwork:
    """A freshly initialised network; its ``blueprint_arguments`` build it again.

    Args:
        package: transformers.
        fields: of an admitted configuration.
        interface: tokens and their mask to one output.
        knobs: what is changed of it.
        is_bare: whether the configuration is a model type alone: it then has as many tokens and positions as the data.
        weights_bytes: size of the file of weights that lies beside the configuration, which says of what size it can be at most;
            None where none does.
        where: how to call it in a message.

    Raises:
        ValueError: if the data have more tokens or longer texts than the model, it has no layer, or the task wants another
            kind of model.
        InputError: if the package cannot build it, or it does not fit into the memory of this machine.
    """
    kind = TEXT_TYPES[fields["model_type"]]
    use = _find_use(interface, kind, fields["model_type"])
    size = int(interface.outputs[0].shape[-1])
    sized = {"num_labels": size} if use in ("classes", "tags") else {}
    kept = transformers_config.keep_declared(package, dict(fields))
    try:
        whole = package.AutoConfig.for_model(fields["model_type"], **kept)
        of = int(whole.num_hidden_layers)
        if of < 1:
            raise ValueError(f"num_hidden_layers: got {of}, want 1 or more")
        chosen = parse_layers(knobs.layers, knobs.keep_layers, of)
        if is_bare:
            kept |= _fit_data(whole, interface, kind)
        if len(chosen) < of:
            kept |= cut_lists(whole.to_dict(), chosen, of)
        kept |= _resize(whole, knobs, len(chosen))
        kept.pop("architectures", None)
        settings = package.AutoConfig.for_model(fields["model_type"], **kept, **sized)
        first = _find_first_position(settings, kind)
        _require_room(settings, interface, kind, first)
        auto = getattr(package, CLASSES[use])
        with torch.device("meta"):
            _require_memory(_build(auto, settings, use), weights_bytes, where)
        network = _build(auto, settings, use)
    except (InputError, ValueError):
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = (
            " ".join(lines[:2]) or type(error).__name__
        )  # the second says what is wrong, the first where
        raise InputError(f"{where}: transformers cannot build it: {why[:200]}") from error
    model = TextNetwork(
        network,
        kind,
        use,
        first_position=first,
        size=size,
        pooling=(knobs.pooling or POOLINGS[0]) if use == "vector" else "",
    )
    model.stack = LayerStack(find_stack(network, len(chosen)), chosen, of)
    if model.stack.path:
        setattr(network.get_submodule(model.stack.path), CHOSEN, chosen)
    described = json.dumps({"model_type": fields["model_type"], **kept}, sort_keys=True)
    said = TextKnobs(pooling=model.pooling)._asdict()
    model.blueprint_arguments = {"reference": "", "config": described, **said}
    return model


def _build(auto: Any, settings: Any, use: Use) -> nn.Module:
    network: nn.Module = auto.from_config(
        settings, trust_remote_code=False, attn_implementation="eager"
    )
    if use == "vector" and getattr(network, "pooler", None) is not None:  # nobody asks it
        network.pooler = None
    return network


def _find_use(interface: Interface, kind: TextType, name: str) -> Use:
    """
    Raises:
        ValueError: if the model is of another kind than the task wants, or gives several things.
    """
    if len(interface.outputs) != 1:
        named = ", ".join(end.name for end in interface.outputs)
        raise ValueError(f"got a task with outputs {named}, want one output of a text")
    (output,) = interface.outputs
    use: Use = "vector"
    if output.kind == "logits" and len(output.shape) == 2:
        use = "classes"
    elif output.kind == "logits" and "classes" in interface.sizes:
        use = "tags"
    elif output.kind == "logits":
        use = "next" if output.target == NEXT else "masked"
    if (use == "next") != kind.is_causal:
        listed = ", ".join(n for n, each in TEXT_TYPES.items() if each.is_causal == (use == "next"))
        sees = "sees what follows" if use == "next" else "sees only what stands before"
        raise ValueError(f"got {name}, in which a token {sees}, want one of {listed}")
    return use


def _fit_data(whole: Any, interface: Interface, kind: TextType) -> dict[str, int]:
    """As many tokens and positions as the data have."""
    first = _find_first_position(whole, kind)
    vocabulary, longest = interface.sizes["vocabulary"], interface.sizes["longest"]
    found = {"vocab_size": vocabulary, "max_position_embeddings": longest + first}
    if kind.has_token_types:
        types = int(getattr(whole, "type_vocab_size", 1))
        found["type_vocab_size"] = max(types, interface.sizes.get("types", 1))
    padding = getattr(whole, "pad_token_id", None)
    if padding is not None and padding >= vocabulary:
        found["pad_token_id"] = 0
    return _name_own(whole, found)


def _name_own(whole: Any, fields: dict[str, int]) -> dict[str, int]:
    """Fields under the names that the model type has for them."""
    return {whole.attribute_map.get(name, name): value for name, value in fields.items()}


def _resize(whole: Any, knobs: TextKnobs, layers: int) -> dict[str, int]:
    """The sizes that a recipe changes, under the names of every configuration.

    Raises:
        ValueError: if the heads do not divide the width, or the type has no such size.
    """
    found = {"num_hidden_layers": layers}
    if knobs.width:
        found["hidden_size"] = knobs.width
    if knobs.heads:
        found["num_attention_heads"] = knobs.heads
        groups = getattr(whole, "num_key_value_heads", None)
        if groups:
            divides = knobs.heads % groups == 0
            found["num_key_value_heads"] = groups if divides else knobs.heads
    width, heads = knobs.width or whole.hidden_size, knobs.heads or whole.num_attention_heads
    if width % heads:
        raise ValueError(f"heads: got {heads}, want a divisor of width {width}")
    if knobs.inside:
        named = next((name for name in _INSIDE if hasattr(whole, name)), None)
        if named is None:
            raise ValueError(f"inside: got it for {whole.model_type}, which has no such size")
        found[named] = knobs.inside
    return _name_own(whole, found)


def _find_first_position(settings: Any, kind: TextType) -> int:
    padding = getattr(settings, "pad_token_id", None)
    return (padding or 0) + 1 if kind.skips_padding else 0


def _require_room(settings: Any, interface: Interface, kind: TextType, first: int) -> None:
    """
    Raises:
        ValueError: if a token has no row, or a text is longer than the model takes.
    """
    tokens, longest = interface.sizes["vocabulary"], interface.sizes["longest"]
    if tokens > settings.vocab_size:
        raise ValueError(
            f"the data have {tokens} tokens and the model {settings.vocab_size}: they are of another tokenizer, want "
            "that of the model (`tokenizer` beside the source)"
        )
    types, known = interface.sizes.get("types", 1), int(getattr(settings, "type_vocab_size", 0))
    if kind.has_token_types and types > known:
        raise ValueError(
            f"the data have tokens of {types} types, first and second text, and the model {known}: want the tokenizer of the "
            "model"
        )
    positions = int(settings.max_position_embeddings) - first
    window = getattr(settings, "sliding_window", None)
    if kind.is_causal and window and getattr(settings, "use_sliding_window", True):
        positions = min(positions, int(window))
    if positions < 1:
        raise ValueError(f"got a model of {positions} positions, want 1 or more")
    if longest > positions:
        raise ValueError(
            f"the data have texts of {longest} tokens, the model takes {positions}; want `longest: {positions}` beside "
            "the source"
        )


def _require_memory(network: nn.Module, weights_bytes: int | None, where: str) -> None:
    """
    Raises:
        InputError: if a model, built without values, would not fit into the memory that is free, with what it learns by, or is
            far larger than its own weights.
    """
    need_bytes = sum(each.numel() * each.element_size() for each in network.parameters())
    limit_bytes = psutil.virtual_memory().available // 2
    if need_bytes > limit_bytes:
        raise InputError(
            f"{where}: got a model of {bytes_text(need_bytes)}, want at most {bytes_text(limit_bytes)}, half of the "
            "free memory"
        )
    if weights_bytes is None:
        return
    largest_bytes = MOST_UNPACKED * weights_bytes + LARGEST_HEAD_BYTES
    if need_bytes > largest_bytes:
        raise InputError(
            f"{where}: got a configuration of {bytes_text(need_bytes)} beside weights of {bytes_text(weights_bytes)}, want at "
            f"most {bytes_text(largest_bytes)}: it is not theirs"
        )
