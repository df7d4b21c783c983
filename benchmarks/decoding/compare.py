"""Tokens a second of one decoder in every form and engine, beside ONNX Runtime GenAI's own builder; one run, in turns.

    python benchmarks/decoding/compare.py prepare FOLDER [LONGEST]
    python benchmarks/decoding/compare.py measure FOLDER results.json

Needs edgekd with its extras, transformers, and onnxruntime-genai with its model builder. The decoder is Llama-like with 8
layers, width 512, 8 heads of queries, 4 of keys, a vocabulary of 32,000 and random weights; 4 bits are blocks of 32,
symmetric, rounded to the nearest by ONNX Runtime's quantizer at accuracy level 4, in our graphs as in the builder's.
With another LONGEST than 256 our own files alone are made, for `cache.py`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPT, STEPS, LONGEST, ROUNDS = 64, 72, 256, 6
VOCABULARY = 32_000
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 512,
    "intermediate_size": 1376,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": LONGEST,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SUBJECTS = {
    "edgekd plain fp32, ONNX Runtime": ("onnxruntime", "plain.onnx"),
    "edgekd fused fp32, ONNX Runtime": ("onnxruntime", "fused.onnx"),
    "edgekd plain int4, ONNX Runtime": ("onnxruntime", "plain-int4.onnx"),
    "edgekd fused int4, ONNX Runtime": ("onnxruntime", "fused-int4.onnx"),
    "edgekd plain fp32, OpenVINO": ("openvino", "plain.onnx"),
    "edgekd plain int4, OpenVINO": ("openvino", "plain-int4.onnx"),
    "builder fp32, GenAI": ("genai", "builder-fp32"),
    "builder int4, GenAI": ("genai", "builder-int4"),
}


def prepare(folder: Path, longest: int = LONGEST) -> None:
    """Write the network once, and every file that is made of it."""
    import torch
    import transformers

    from edgekd.interface import Axis
    from edgekd.interface import Interface
    from edgekd.interface import Tensor
    from edgekd.learn.cache import with_cache
    from edgekd.learn.export import fused_file
    from edgekd.learn.export import to_onnx
    from edgekd.learn.text_network import TEXT_TYPES
    from edgekd.learn.text_network import TextNetwork

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    settings = transformers.LlamaConfig(**SIZES | {"max_position_embeddings": longest})
    network = transformers.AutoModelForCausalLM.from_config(settings, attn_implementation="eager")
    network.save_pretrained(folder / "network")
    write_tokenizer(folder / "network")
    shape = ("batch", "text_length")
    ends = Interface(
        (
            Tensor("text", "int64", shape, "index", below=VOCABULARY),
            Tensor("text_mask", "int64", shape, "mask"),
        ),
        (Tensor("logits", "float32", (*shape, VOCABULARY), "logits", target="next_tokens"),),
        (Axis("batch"), Axis("text_length", 1, PROMPT, longest)),
    )
    kind = TEXT_TYPES["llama"]
    model = TextNetwork(network, kind, "next", first_position=0, size=VOCABULARY).eval()
    deployed, extended = with_cache(model, ends)
    to_onnx.write(deployed, folder / "plain.onnx", extended)
    assert not fused_file.write(model, folder / "fused.onnx", ends, 18)
    for form in ("plain", "fused"):
        quantize(folder / f"{form}.onnx", folder / f"{form}-int4.onnx")
    for precision in ("fp32", "int4") if longest == LONGEST else ():
        build(folder, precision)


def write_tokenizer(folder: Path) -> None:
    """One that is never used: the builder refuses a network without."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(folder)


def quantize(path: Path, goal: Path) -> None:
    """All products with weights in blocks of 32, 4 bits."""
    import onnx
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    model = onnx.load(path)
    join_weights(model.graph)
    made = MatMulNBitsQuantizer(model, block_size=32, is_symmetric=True, accuracy_level=4)
    made.process()
    onnx.save(made.model.model, goal)


def join_weights(graph: Any) -> None:
    """Compute what is joined of weights alone, in place: the quantizer sees stored weights only."""
    import numpy as np
    from onnx import numpy_helper

    held = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Concat"]:
        if {*node.input} <= held.keys():
            joined = np.concatenate([held[name] for name in node.input], node.attribute[0].i)
            graph.initializer.append(numpy_helper.from_array(joined, node.output[0]))
            graph.node.remove(node)


def build(folder: Path, precision: str) -> None:
    """GenAI's builder, at the same blocks; what it wants of a tokenizer behind the model is not used here."""
    place = folder / f"builder-{precision}"
    blocks = ["--extra_options", "int4_block_size=32", "int4_accuracy_level=4"]
    module = ("-m", "onnxruntime_genai.models.builder", "-i", folder / "network", "-o", place)
    command = [
        sys.executable,
        *module,
        "-p",
        precision,
        "-e",
        "cpu",
        "-c",
        folder / "cache",
        *blocks,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if not (place / "genai_config.json").is_file():
        raise SystemExit(done.stderr[-2000:])


def time_subject(engine: str, path: Path) -> dict[str, float]:
    """Milliseconds to the first token, and tokens a second behind it: medians of one process."""
    import numpy as np

    prompt = np.random.default_rng(0).integers(0, VOCABULARY, PROMPT).astype(np.int64)
    begin, step = (time_genai if engine == "genai" else time_edgekd)(engine, path)
    firsts, steps = [], []
    for _ in range(4):
        at = time.perf_counter()
        token = begin(prompt)
        firsts.append(time.perf_counter() - at)
        times = []
        for _ in range(STEPS):
            at = time.perf_counter()
            token = step(token)
            times.append(time.perf_counter() - at)
        steps += times[1:]
    return {
        "first_token_ms": 1000 * statistics.median(firsts[1:]),
        "decode_tokens_per_s": 1 / statistics.median(steps[STEPS:]),
    }


def time_edgekd(engine: str, path: Path) -> tuple[Callable[..., int], Callable[[int], int]]:
    """The stream that edgekd's worker uses."""
    import tempfile

    import numpy as np

    from edgekd import runtimes
    from edgekd.bench.streams import open_stream

    built = runtimes.find_runtime(engine).build(path, Path(tempfile.mkdtemp()), "fp32")
    files = {name: str(each) for name, each in built.items()}
    spec = {"runtime": engine, "precision": "fp32", "threads": 1, "files": files}
    stream = open_stream(spec, LONGEST)

    def begin(prompt: Any) -> int:
        stream.rewind(0)
        return int(stream.decode(prompt).argmax())

    return begin, lambda token: int(stream.decode(np.array([token])).argmax())


def time_genai(engine: str, path: Path) -> tuple[Callable[..., int], Callable[[int], int]]:
    """GenAI's own loop, greedy."""
    import onnxruntime_genai as genai

    model = genai.Model(str(path))
    held: list[Any] = []

    def begin(prompt: Any) -> int:
        held.clear()
        params = genai.GeneratorParams(model)
        params.set_search_options(max_length=LONGEST, do_sample=False)
        held.append(genai.Generator(model, params))
        held[0].append_tokens(prompt.astype("int32"))
        return step(0)

    def step(_: int) -> int:
        held[0].generate_next_token()
        return int(held[0].get_next_tokens()[0])

    return begin, step


def measure(folder: Path, goal: Path) -> None:
    """Rounds of fresh processes in turns; medians with the least and the most."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SUBJECTS}
    reasons: dict[str, str] = {}
    for turn in range(ROUNDS):
        for name in list(SUBJECTS)[:: 1 if turn % 2 == 0 else -1]:
            if name in reasons:
                continue
            engine, file = SUBJECTS[name]
            command = [sys.executable, __file__, "time", engine, str(folder / file)]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
            if done.returncode:
                reasons[name] = (done.stderr.strip().splitlines() or ["ended"])[-1][:300]
            else:
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    rows = {
        name: summarize(folder / SUBJECTS[name][1], each) for name, each in found.items() if each
    }
    about = {"prompt": PROMPT, "steps": STEPS, "rounds": ROUNDS, "threads": 1, "sizes": SIZES}
    written = {**about, "versions": list_versions(), "rows": rows, "not_measured": reasons}
    goal.write_text(json.dumps(written, indent=2) + "\n")
    for name, row in rows.items():
        print(
            f"{name:36} {row['decode_tokens_per_s'][1]:7.1f} tok/s  {row['first_token_ms'][1]:7.1f} ms"
        )
    print(reasons or "")


def summarize(path: Path, processes: list[dict[str, float]]) -> dict[str, Any]:
    """Least, median and most of each figure over processes; the size of the file."""
    figures = {
        key: [round(f([each[key] for each in processes]), 2) for f in (min, statistics.median, max)]
        for key in processes[0]
    }
    files = [path] if path.is_file() else [each for each in path.iterdir() if "onnx" in each.name]
    return {**figures, "size_bytes": sum(each.stat().st_size for each in files)}


def list_versions() -> dict[str, str]:
    import importlib.metadata

    names = ("onnxruntime", "onnxruntime-genai", "openvino", "torch", "transformers")
    return {name: importlib.metadata.version(name) for name in names}


if __name__ == "__main__":
    verb, *arguments = sys.argv[1:]
    if verb == "build":
        build(Path(arguments[0]), arguments[1])
    elif verb == "time":
        print(json.dumps(time_subject(arguments[0], Path(arguments[1]))))
    elif verb == "prepare":
        prepare(Path(arguments[0]), *map(int, arguments[1:]))
    else:
        measure(Path(arguments[0]), Path(arguments[1]))
