"""A folder with a small tokenizer of conversations, and chat templates in the manner of published ones, written anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tokenizer_example import byte_pairs

SPECIAL = ("<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MARKED = """
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' }}
        {%- generation %}
            {{- message.content + '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
STRICT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + eos_token }}{% endif %}{% endfor %}"
)
TEMPLATES = {"chatml": CHATML, "marked": MARKED, "strict": STRICT}


def chat_pieces() -> bytes:
    """The tokenizer of pairs of bytes with the tokens of ChatML."""
    value = json.loads(byte_pairs())
    first = len(value["model"]["vocab"])
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for at, name in enumerate(SPECIAL):
        value["model"]["vocab"][name] = first + at
        value["added_tokens"].append({"id": first + at, "content": name, **flags, "special": True})
    return json.dumps(value).encode()


def write_folder(folder: Path, template: str | None = CHATML, **config: Any) -> Path:
    """tokenizer.json and tokenizer_config.json, with a chat template unless it is None."""
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_bytes(chat_pieces())
    said = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>", **config}
    if template is not None:
        said["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


def talk(*turns: str) -> list[dict[str, str]]:
    """Messages of a user and an assistant in turns; a first one that begins with ``system: `` is the system's."""
    found = []
    said = list(turns)
    if said[0].startswith("system: "):
        found.append({"role": "system", "content": said.pop(0)[8:]})
    found += [
        {"role": ("user", "assistant")[at % 2], "content": each} for at, each in enumerate(said)
    ]
    return found
