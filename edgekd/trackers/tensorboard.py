"""TensorBoard: curves as scalars, settings as text, in a folder of its own for every run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from edgekd.progress import RunStart

FOLDER = "tensorboard"


class TensorboardWriter:
    """One file of events."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(folder))

    def log_params(self, params: Mapping[str, str]) -> None:
        """As a table of text, ``settings``."""
        rows = [f"| {_cell(key)} | {_cell(value)} |" for key, value in params.items()]
        self._add_text("settings", "\n".join(["| setting | value |", "|---|---|", *rows]))

    def log_values(self, values: Mapping[str, float], step: int) -> None:
        """As scalars."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        self._add(
            [Summary.Value(tag=name, simple_value=value) for name, value in values.items()], step
        )

    def log_artifact(self, path: Path) -> None:
        """Where it lies, as text: TensorBoard keeps no files."""
        self._add_text(f"artifacts/{path.name}", _cell(str(path.resolve())))

    def close(self, *, failed: bool) -> None:
        """Write out what is left."""
        self._add_text("status", "failed" if failed else "finished")
        self._writer.close()

    def _add_text(self, tag: str, text: str) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.types_pb2 import DT_STRING

        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
        self._add([Summary.Value(tag=tag, metadata=metadata, tensor=tensor)], 0)

    def _add(self, values: list[Any], step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        self._writer.add_event(event)


def open_run(where: str, start: RunStart) -> TensorboardWriter:
    """A new folder of events.

    Args:
        where: folder; empty for `FOLDER` in the run folder.
        start: of the run.
    """
    base = Path(where) if where else start.run_dir / FOLDER
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return TensorboardWriter(base / f"{start.recipe.get('name', 'edgekd')}-{stamp}")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
