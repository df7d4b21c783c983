"""What a large language model's stored answers cost and lose: bytes a token, divergence, seconds a step, memory of a loss.

    python benchmarks/knowledge/tokens.py PART MODEL TEXTS.jsonl.gz --output benchmarks/knowledge/tokens.json

PART: encodings, steps or memory, which is put into the file beside what it has.

MODEL: a .gguf file or a folder that transformers reads as a causal language model (a .gguf needs the packages gguf and
accelerate); TEXTS: JSON lines with a key ``text``. Texts are packed into blocks of 128 tokens of the model's own tokenizer.

`encodings`: of 2,048 tokens, every way to store an answer: bytes a token, and KL(given || read back) in nats over the stored
classes and all others as one, whose weight is exact; `rest` is that weight. `spread` is the divergence over all classes where
the others are taken to be alike, which no loss over tokens does.
`steps`: seconds of getting the teacher's answers to a batch of four blocks, live in float32 and bfloat16 and from the store, and
of a whole training step of a small decoder (forward-kl and cross-entropy), in turns; medians, and the least and largest.
`memory`: of forward-kl, reverse-kl, jsd and cross-entropy with their gradient on 512 tokens: the most that was taken beside
what was there, in sizes of one tensor of logits; `whole` computes all tokens at once.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekd.learn.knowledge.fidelity import find_cut_errors
from edgekd.learn.knowledge.filling import Questions
from edgekd.learn.knowledge.filling import fill_store
from edgekd.learn.knowledge.layout import read_manifest
from edgekd.learn.knowledge.layout import shard_name
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import CutLogits
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.losses.language.kullback_leibler import forward_kl
from edgekd.learn.losses.language.kullback_leibler import reverse_kl
from edgekd.learn.losses.language.mixtures import jsd
from edgekd.learn.losses.response.labels import cross_entropy
from edgekd.learn.mathematics import tokens as chunks
from edgekd.learn.mathematics.top_k import cut_logits
from edgekd.learn.models.text_decoder import text_decoder
from edgekd.learn.places import pad_answers
from edgekd.learn.places import take_places
from edgekd.progress import Silent

LENGTH, BLOCKS, TOGETHER, ROUNDS = 128, 16, 4, 7
COMMAND = "python benchmarks/knowledge/tokens.py PART MODEL TEXTS.jsonl.gz --output benchmarks/knowledge/tokens.json, PART: encodings, steps, memory"
STORED = KnowledgeSettings(encoding="int8", top_k=96)


def load_model(path: Path) -> tuple[Any, Any]:
    import transformers

    said = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
    folder = path.parent if said else path
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, **said)
    plain = type(loaded)(loaded.config)
    plain.load_state_dict({name: each.float() for name, each in loaded.state_dict().items()})
    return plain.eval(), transformers.AutoTokenizer.from_pretrained(folder, **said)


def read_blocks(path: Path, tokenizer: Any) -> np.ndarray:
    found: list[int] = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            found += [*tokenizer.encode(json.loads(line)["text"]), tokenizer.eos_token_id]
            if len(found) > BLOCKS * LENGTH:
                break
    return np.array(found[: BLOCKS * LENGTH + 1])


def answer(model: Any, tokens: np.ndarray, dtype: torch.dtype | None = None) -> Tensor:
    with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype is not None):
        out: Tensor = model(torch.from_numpy(tokens)).logits
    return out.float()


def measure_encodings(logits: Tensor) -> Iterator[dict[str, Any]]:
    classes = logits.shape[-1]
    for top_k, encoding in (
        *((top, "int8") for top in (16, 50, 64, 96, 128)),
        *((top, "fp16") for top in (50, 64, 74)),
        (50, "bf16"),
    ):
        settings = KnowledgeSettings(encoding=encoding, top_k=top_k)  # type: ignore[arg-type]
        code = RowCode(settings, ((classes,),))
        start = time.perf_counter()
        cut = take_places(logits[None], np.array([len(logits)]), settings)
        assert isinstance(cut, CutLogits)
        rows = code.encode_cut(cut)
        took_s = time.perf_counter() - start
        read = code.decode_cut(rows)
        errors = find_cut_errors(cut, read)
        spread = _spread_divergence(logits[:256], settings)
        assert errors.rest is not None
        yield {
            "top_k": top_k,
            "encoding": encoding,
            "bytes_a_token": rows.shape[1],
            "mean_nats": float(errors.divergence.mean()),
            "largest_nats": float(errors.divergence.max()),
            "rest": float(errors.rest.mean()),
            "spread_nats": spread,
            "encode_ms_a_token": 1000 * took_s / len(logits),
        }


def _spread_divergence(logits: Tensor, settings: KnowledgeSettings) -> float:
    assert settings.top_k is not None
    spread = cut_logits(logits, settings.top_k).spread()
    one, other = logits.double().log_softmax(-1), spread.double().log_softmax(-1)
    return float((one.exp() * (one - other)).sum(-1).mean())


def store_answers(model: Any, blocks: np.ndarray, folder: Path) -> KnowledgeReader:
    lengths = np.full(len(blocks), LENGTH)

    def ask(view: int, batches: Any) -> Iterator[Any]:
        for indices in batches:
            yield take_places(answer(model, blocks[indices]), lengths[indices], STORED)

    questions = Questions(ask, 1, len(blocks), TOGETHER, lengths=lengths)
    made = fill_store(questions, STORED, {}, folder, Silent())
    place = read_manifest(made["knowledge.json"]).layout
    return KnowledgeReader(place, [made[shard_name(number)] for number in range(place.shards)])


def measure_steps(model: Any, reader: KnowledgeReader, blocks: np.ndarray) -> dict[str, Any]:
    classes = reader.layout.code.classes
    torch.manual_seed(0)
    student = text_decoder(vocabulary=classes, longest=LENGTH, layers=4, width=192, heads=4)
    optimizer = torch.optim.AdamW(student.parameters())
    teachers: dict[str, Callable[[np.ndarray], Any]] = {
        "live, float32": lambda numbers: answer(model, blocks[numbers]),
        "live, bfloat16": lambda numbers: answer(model, blocks[numbers], torch.bfloat16),
        "stored": lambda numbers: pad_answers(reader.read_places(0, numbers), 1.0),
        "none": lambda numbers: None,
    }
    mask = torch.ones(TOGETHER, LENGTH, dtype=torch.int64)
    taken: dict[str, dict[str, list[float]]] = {
        name: {"answers": [], "step": []} for name in teachers
    }
    generator = np.random.default_rng(0)
    for number in range(ROUNDS + 1):
        numbers = generator.integers(0, len(blocks), TOGETHER)
        for name, teacher in teachers.items():
            start = time.perf_counter()
            said = teacher(numbers)
            got = time.perf_counter()
            text = torch.from_numpy(blocks[numbers])
            logits = student(text, mask)
            loss = 0.1 * cross_entropy(logits[:, :-1].flatten(0, 1), text[:, 1:].flatten())
            if said is not None:
                loss = loss + 0.9 * forward_kl(logits, said)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if number:  # the first warms up
                taken[name]["answers"].append(got - start)
                taken[name]["step"].append(time.perf_counter() - start)
    found = {
        name: {
            what: {"median_s": statistics.median(each), "least_s": min(each), "most_s": max(each)}
            for what, each in both.items()
        }
        for name, both in taken.items()
    }
    fastest = min(found[name]["answers"]["median_s"] for name in found if name.startswith("live"))
    return {
        "student_parameters": sum(each.numel() for each in student.parameters()),
        "teacher_parameters": sum(each.numel() for each in model.parameters()),
        "tokens_a_batch": TOGETHER * LENGTH,
        "seconds": found,
        "answers_read_faster_than_the_faster_live_teacher": fastest
        / found["stored"]["answers"]["median_s"],
    }


def measure_memory(classes: int) -> list[dict[str, Any]]:
    rows = TOGETHER * LENGTH
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (rows,), generator=generator)
    losses: dict[str, Callable[..., Tensor]] = {
        "forward-kl": forward_kl,
        "reverse-kl": reverse_kl,
        "jsd": functools.partial(jsd, beta=0.5),
        "cross-entropy": cross_entropy,
    }
    found = []
    for name, loss in losses.items():
        for form, most in (("in chunks", chunks.MOST_AT_ONCE), ("whole", 2**40)):
            import edgekd.learn.losses.response.labels as of_labels

            chunks.MOST_AT_ONCE = of_labels.MOST_AT_ONCE = most
            teacher = torch.randn(rows, classes, generator=generator)
            student = torch.randn(rows, classes, generator=generator).requires_grad_()
            Path("/proc/self/clear_refs").write_text("5")
            before = _memory("VmRSS")
            start = time.perf_counter()
            loss(student, labels if name == "cross-entropy" else teacher).backward()
            took_s = time.perf_counter() - start
            size = 4 * rows * classes
            taken = (_memory("VmHWM") - before) / size
            found.append({"loss": name, "form": form, "logits_tensors": taken, "seconds": took_s})
            del teacher, student
        chunks.MOST_AT_ONCE = of_labels.MOST_AT_ONCE = 2**22
    return found


def _memory(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("encodings", "steps", "memory"))
    parser.add_argument("model", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    said = parser.parse_args()
    result: dict[str, Any] = json.loads(said.output.read_text()) if said.output.exists() else {}
    if said.part == "memory":
        result["memory"] = measure_memory(result["classes"])
    else:
        model, tokenizer = load_model(said.model)
        tokens = read_blocks(said.texts, tokenizer)
        blocks = tokens[:-1].reshape(BLOCKS, LENGTH)
    if said.part == "encodings":
        few = range(0, BLOCKS, TOGETHER)
        flat = torch.cat([answer(model, blocks[at : at + TOGETHER]) for at in few]).flatten(0, 1)
        nats = torch.nn.functional.cross_entropy(flat, torch.from_numpy(tokens[1:])).item()
        result |= {
            "model": said.model.name,
            "texts": said.texts.name,
            "tokens": len(flat),
            "classes": flat.shape[-1],
            "cross_entropy_nats_a_token": nats,
            "threads": torch.get_num_threads(),
            "encodings": list(measure_encodings(flat)),
        }
    if said.part == "steps":
        with tempfile.TemporaryDirectory() as folder:
            reader = store_answers(model, blocks, Path(folder))
            result["steps"] = measure_steps(model, reader, blocks)
    result = {"command": COMMAND} | result
    said.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
