"""The configuration file's JSON schema: what editors check and complete a `framework_config.yaml` with."""

from __future__ import annotations

from typing import Any

from .settings import SECTIONS, Credentials, LLMConfig

_TITLE = "llm-framework's configuration file"


def file_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the YAML file: the sections, and every setting at the top level too."""
    made = LLMConfig.model_json_schema()
    settings = {name: _without_titles(schema) for name, schema in made["properties"].items()}
    settings["log_level"]["enum"] += [name.lower() for name in settings["log_level"]["enum"]]
    credentials = _without_titles(made["$defs"]["Credentials"])
    credentials["description"] = "How to reach one provider or endpoint; settings of its own stand beside these."
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": _TITLE,
        "type": ["object", "null"],
        "properties": {**settings, **{name: _section(name, settings) for name in SECTIONS}},
        "additionalProperties": False,
        "$defs": {Credentials.__name__: credentials},
    }


def _section(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A section that holds its settings. `api_credentials` is a setting itself, and `plugins` holds plugins by their
    names too."""
    if SECTIONS[name] == (name,):
        return {**settings[name], "type": ["object", "null"]}
    section: dict[str, Any] = {"type": ["object", "null"]}
    section["properties"] = {field: settings[field] for field in SECTIONS[name]}
    if name not in settings:
        return {**section, "additionalProperties": False}
    described = {key: settings[name][key] for key in ("description", "additionalProperties")}
    return {**section, **described}


def _without_titles(schema: Any) -> Any:
    """pydantic's titles are the names once more."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
    return {key: _without_titles(value) for key, value in kept.items()}
