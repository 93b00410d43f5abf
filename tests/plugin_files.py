"""Plugins for tests: as files in a folder, and as installed distributions (a module beside its metadata)."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

PLUGIN = """
from llm_framework import BaseModelPlugin, PluginMetadata
from llm_framework.testing import FakeBackend

class Acme(BaseModelPlugin):
    @property
    def metadata(self):
        return PluginMetadata("{name}", "1.2", "says hello", "someone", ("acme",), ({dependencies}))

    async def initialize(self, config):
        self.greeting = config.get("greeting", "hello")

    async def create_backend(self, info):
        return FakeBackend(info, answers=[self.greeting])
"""


def write(folder: Path, file: str = "acme.py", name: str = "acme", dependencies: str = "", more: str = "") -> Path:
    """A plugin that serves `acme:…`. `more` is added to its class."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(PLUGIN.format(name=name, dependencies=dependencies)) + more)
    return path


def install(site: Path, name: str, code: str, group: str = "llm_framework.plugins", attribute: str = "Acme") -> str:
    """What pip leaves in a folder of the import path: a module, and the metadata with its entry point. Returns the
    module's name."""
    module = f"installed_{name.replace('-', '_')}"
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-2.1.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {module}\nVersion: 2.1\nSummary: serves {name}\nAuthor: A. Author\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{attribute}\n")
    return module
