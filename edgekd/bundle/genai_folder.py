"""A folder that ONNX Runtime GenAI loads: the decoder of a bundle, genai_config.json, and its tokenizer where it has one.

What onnxruntime-genai 0.18 needs: the names of inputs and outputs, which may be any; sizes of the cache; numbers of the
tokens that begin, end and fill up. It keeps one buffer of keys and values where attention is fused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd import files
from edgekd import graph
from edgekd.admission import external_data
from edgekd.bundle import Bundle
from edgekd.bundle.manifest import TOKENIZER
from edgekd.bundle.models import find_fused
from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import PAST
from edgekd.interface import PRESENT
from edgekd.interface import is_decoder

CONFIG, MODEL = "genai_config.json", "model.onnx"


def write_genai_folder(found: Bundle, goal: Path) -> list[Path]:
    """Write the folder `goal`, which is made; gives its files.

    Raises:
        InputError: if the model writes no text, or its file keeps no states.
        MachineError: if the disk refuses.
    """
    name = found.manifest.name
    if not is_decoder(found.interface):
        raise InputError(
            f"{name}: got a model that writes no text, want one that tells the next token"
        )
    fused = find_fused(found)
    model = found.folder / MODEL if fused is None else fused
    config = describe_decoder(found, graph.read(model), is_fused=fused is not None)
    goal.mkdir(parents=True, exist_ok=True)
    contents = {CONFIG: files.pretty_json(config)}
    if external_data.embed_weights(model, goal / MODEL) == model:
        contents[MODEL] = model.read_bytes()
    if TOKENIZER in found.manifest.files:
        contents[TOKENIZER] = (found.folder / TOKENIZER).read_bytes()
        told = {"tokenizer_class": "PreTrainedTokenizerFast"}
        contents["tokenizer_config.json"] = files.pretty_json(told)
    for file, data in contents.items():
        files.write_bytes(goal / file, data)
    return [goal / file for file in dict.fromkeys([MODEL, *contents])]


def describe_decoder(found: Bundle, read: graph.Graph, *, is_fused: bool) -> dict[str, Any]:
    """The content of genai_config.json.

    Raises:
        InputError: if the file keeps no states.
    """
    (text,) = (end for end in found.interface.inputs if end.kind == "index")
    (mask,) = (end for end in found.interface.inputs if end.kind == "mask")
    longest = next(axis.most for axis in found.interface.axes if axis.name != BATCH)
    (field,) = found.dataset.inputs.values()
    padding, end = int(getattr(field, "padding", 0)), field.find_end()
    states = [value for value in read.inputs if value.name.startswith(PAST)]
    if not states:
        name = found.manifest.name
        raise InputError(
            f"{name}: got a file that keeps no states between calls, want one that does"
        )
    sizes = states[0].sizes or ()
    heads, size = (axis for axis in sizes[1::2] if isinstance(axis, int))
    kinds = ("key", "value")
    decoder = {
        "session_options": {"provider_options": []},
        "filename": MODEL,
        "head_size": size,
        "hidden_size": heads * size,
        "inputs": {
            "input_ids": text.name,
            "attention_mask": mask.name,
            **{f"past_{kind}_names": f"{PAST}%d.{kind}" for kind in kinds},
        },
        "outputs": {
            "logits": found.interface.outputs[0].name,
            **{f"present_{kind}_names": f"{PRESENT}%d.{kind}" for kind in kinds},
        },
        "num_attention_heads": heads,
        "num_hidden_layers": len(states) // 2,
        "num_key_value_heads": heads,
    }
    return {
        "model": {
            "bos_token_id": padding,
            "eos_token_id": padding if end is None else end,
            "pad_token_id": padding,
            "context_length": longest,
            "decoder": decoder,
            "type": "llama",
            "vocab_size": text.below,
        },
        "search": {
            "do_sample": False,
            "max_length": longest,
            "min_length": 0,
            "num_beams": 1,
            "past_present_share_buffer": is_fused,
            "temperature": 1.0,
            "top_k": 1,
            "top_p": 1.0,
        },
    }
