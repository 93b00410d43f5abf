"""Writes what the code says of the configuration file: docs/configuration.schema.json, and the table of settings in
docs/configuration.md.

    python docs/make_config_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llm_framework.config import SECTIONS
from llm_framework.config.schema import file_schema

FOLDER = Path(__file__).parent
PAGE = FOLDER / "configuration.md"
SCHEMA = FOLDER / "configuration.schema.json"
BEGIN = "<!-- settings: made by make_config_reference.py -->\n"
END = "<!-- settings end -->\n"


def table() -> str:
    """The settings, a row each, in the order of the sections."""
    settings = file_schema()["properties"]
    rows = ["| section | setting | default | |", "|---|---|---|---|"]
    for section, names in SECTIONS.items():
        for name in names:
            shown = f"`{section}`" if name == names[0] else ""
            rows.append(f"| {shown} | `{name}` | {default(settings[name])} | {settings[name]['description']} |")
    return "\n".join(rows) + "\n"


def default(schema: dict[str, Any]) -> str:
    """The default as a cell; empty where the description tells it."""
    if "default" not in schema:
        kinds = schema["type"]
        return "`[]`" if kinds == "array" else "`{}`" if "object" in kinds else ""
    value = schema["default"]
    return "none" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def page(text: str) -> str:
    """The page with its table made anew."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def schema() -> str:
    """The schema file's content."""
    return json.dumps(file_schema(), indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
