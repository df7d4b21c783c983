"""MkDocs hooks: the pages of the reference, written from the code at every build."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File
from mkdocs.structure.files import Files

PAGES = {
    "reference/recipe.md": "settings:recipe_page",
    "reference/commands.md": "commands:commands_page",
    "reference/python.md": "python:python_page",
    "reference/methods.md": "members:methods_page",
    "reference/models.md": "members:models_page",
    "reference/sources.md": "members:sources_page",
}
"""Page to ``module:function`` of this folder."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the written pages to those that lie in docs/."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    for path, place in PAGES.items():
        module, _, name = place.partition(":")
        write = getattr(importlib.import_module(f"generate.{module}"), name)
        files.append(File.generated(config, path, content=write()))
    return files
