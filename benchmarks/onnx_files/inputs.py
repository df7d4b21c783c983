"""Real inputs for strangers' ONNX files: photographs, rendered lines of text, recorded speech."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

Array = np.ndarray
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WORDS = [
    "edge",
    "device",
    "measured",
    "twice",
    "a",
    "quiet",
    "kernel",
    "keeps",
    "its",
    "latency",
    "low",
    "int8",
    "where",
    "float",
    "was",
    "never",
    "needed",
    "proof",
    "before",
    "claims",
    "seven",
    "samples",
    "a",
    "second",
]
COUNT = 32
RATE = 16_000


def crop_photos(folder: Path, height: int, width: int) -> Array:
    """uint8 [COUNT, height, width, 3]: pieces of photographs, every other one with lines of text on it."""
    random = np.random.default_rng(0)
    names = ("astronaut.png", "chelsea.png", "coffee.png", "page.png", "motorcycle_left.png")
    photos = [Image.open(folder / name).convert("RGB") for name in names]
    found = []
    for number in range(COUNT):
        photo = photos[number % len(photos)]
        scale = random.uniform(0.5, 1) * min(photo.width / width, photo.height / height)
        size = int(width * scale), int(height * scale)
        left = int(random.integers(0, photo.width - size[0] + 1))
        top = int(random.integers(0, photo.height - size[1] + 1))
        piece = photo.crop((left, top, left + size[0], top + size[1])).resize((width, height))
        if number % 2:
            _write(piece, random, 24, width // 6)
        found.append(np.asarray(piece))
    return np.stack(found)


def draw_lines(height: int, width: int) -> Array:
    """uint8 [COUNT, height, width, 3]: a line of text on a plain ground each."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(COUNT):
        ground = tuple(int(value) for value in random.integers(150, 256, 3))
        line = Image.new("RGB", (width, height), ground)
        _write(line, random, height * 0.6, 2)
        found.append(np.asarray(line))
    return np.stack(found)


def _write(image: Image.Image, random: np.random.Generator, size: float, left: int) -> None:
    draw = ImageDraw.Draw(image)
    text = " ".join(random.choice(WORDS, 3))
    color = tuple(int(value) for value in random.integers(0, 90, 3))
    top = int(random.integers(0, max(1, image.height - int(size * 1.3))))
    draw.text((left, top), text, color, ImageFont.load_default(size))


def scale_pixels(images: Array, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
    """uint8 [N, H, W, 3] as float32 [N, 3, H, W]."""
    found = (images / 255 - mean) / std
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2), np.float32)


def read_speech(folder: Path, seconds: float) -> Array:
    """float32 [samples] at 16 kHz, as 16-bit numbers: recordings one behind the other."""
    parts, total = [], 0
    for path in sorted(folder.rglob("*.wav")):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            rate = file.getframerate()
        at = np.arange(0, len(samples), rate / RATE)
        parts.append(np.interp(at, np.arange(len(samples)), samples).astype(np.float32))
        total += len(parts[-1])
        if total > seconds * RATE:
            break
    return np.concatenate(parts)


def cut(values: Array, length: int, step: int, count: int = COUNT) -> Array:
    """[count, length, ...]: windows along the first axis."""
    return np.stack([values[at * step : at * step + length] for at in range(count)])


def run(path: Path, **feeds: Array) -> list[Array]:
    """What a file answers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [end.name for end in session.get_inputs()]
    return list(session.run(None, dict(zip(names, feeds.values(), strict=True))))


def melspectrogram(path: Path, speech: Array) -> Array:
    """float32 [frames, 32] as the package scales them."""
    (found,) = run(path, input=speech[None])
    return (found.reshape(-1, 32) / 10 + 2).astype(np.float32)


def embed(path: Path, mel: Array, count: int) -> Array:
    """float32 [count, 96]: an embedding every 8 frames."""
    windows = cut(mel, 76, 8, count)[..., None]
    (found,) = run(path, input=windows)
    return found.reshape(count, 96).astype(np.float32)


def follow_states(
    path: Path, chunks: Array, states: dict[str, Array], rate: Array | None
) -> Iterator[dict[str, Array]]:
    """The inputs of each call of a file that is given its last states."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [end.name for end in session.get_inputs()]
    for chunk in chunks:
        feeds = {"input": chunk, **states} | ({} if rate is None else {"sr": rate})
        yield {name: feeds[name] for name in names}
        answers = session.run(None, feeds)
        states = dict(zip(states, answers[1:], strict=True))
