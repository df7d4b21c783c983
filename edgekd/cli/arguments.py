"""A model and a data source as they stand on the command line of a single verb."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def read_model(text: str) -> str | dict[str, Any]:
    """A model as a recipe says it: its name, or in braces its name and knobs, ``{name: resnet, depth: 14}``.

    Raises:
        InputError: if what is in braces is no mapping with a name, or a file is meant that is not there or no model.
    """
    from edgekd.errors import InputError
    from edgekd.recipe import text as recipe_text

    if not text.startswith("{"):
        _require_model_file(text)
        return text

    value = recipe_text.parse(text, ".yaml", "model").value
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise InputError(f"model: got {text[:60]!r}, want a name, or {{name: NAME, KNOB: VALUE}}")
    return value


def _require_model_file(text: str) -> None:
    """
    Raises:
        InputError: if `text` is neither a name nor an ONNX file.
    """
    from edgekd.api.recipes import ONNX
    from edgekd.errors import InputError
    from edgekd.errors import find_nearest
    from edgekd.learn.models import MODELS

    path = Path(text)
    if ":" in text or text in MODELS or not (path.suffix or len(path.parts) > 1):
        return
    if not path.exists():
        beside = [str(each) for each in path.parent.glob(f"*{ONNX}")]
        raise InputError(
            f"model: got no file {text}", hint=find_nearest(text, beside) if beside else ""
        )
    if path.suffix != ONNX:
        raise InputError(
            f"model: got the file {text}, want an ONNX file or a name of edgekd models",
            hint=f"--weights {text} beside the name of its network",
        )


def read_source(text: str | None) -> Any:
    """A source as it stands on a command line: its name, or a mapping as a recipe has it.

    Raises:
        InputError: if it begins as a mapping and is none.
    """
    import yaml

    from edgekd.errors import InputError

    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"--data: got {text[:60]!r}, want {{name: SOURCE, KEY: VALUE}}") from error
