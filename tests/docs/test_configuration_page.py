"""The configuration file's schema and the table of settings say what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from llm_framework import ConfigurationError, LLMConfig

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_config_reference", DOCS / "make_config_reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads((DOCS / "configuration.schema.json").read_text(encoding="utf-8"))


def test_what_was_made_is_current(script: ModuleType) -> None:
    """The schema and the table are those that the script would write now: run docs/make_config_reference.py."""
    assert script.SCHEMA.read_text(encoding="utf-8") == script.schema()
    text = script.PAGE.read_text(encoding="utf-8")
    assert text == script.page(text)


def test_every_setting_stands_in_a_section_with_a_description(script: ModuleType, schema: Any) -> None:
    """No setting is without a section, a description and a place in the table."""
    assert {name for names in script.SECTIONS.values() for name in names} == set(LLMConfig.model_fields)
    for name in LLMConfig.model_fields:
        assert schema["properties"][name].get("description"), name
        assert f"`{name}`" in script.table()


def test_the_schema_is_a_schema(schema: Any) -> None:
    """It is valid JSON schema."""
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "generation:\n  default_temperature: 0.3\n  default_top_k: 7\n",
        "generation:\n",
        "max_retries: 3\nlog_level: debug\n",
        "max_concurrent_requests: {m: 2}\n",
        "default_timeout: null\n",
        "plugins:\n  plugin_dirs: [~/p]\n  acme: {k: 1}\n",
        "plugins: {acme: {k: 1}}\n",
        "api_credentials:\n  openai: {api_key_env: X, organization: acme}\n",
        "api_credentials:\n",
        "fallbacks: {fallback_models: [a, b], enable_fallbacks: false}\n",
        "generation:\n  default_temprature: 1.0\n",
        "modles: {}\n",
        "max_retries: two\n",
        "max_retries: -1\n",
        "default_timeout: 0\n",
        "log_level: LOUD\n",
        "generation: 3\n",
        "models: {default_top_k: 3}\n",
        "api_credentials:\n  openai: {base_url: 7}\n",
        "plugins: {acme: 7}\n",
        "fallback_models: a\n",
        "[1, 2]\n",
    ],
)
def test_schema_and_code_agree(text: str, schema: Any, tmp_path: Path) -> None:
    """What an editor that knows the schema accepts is what the framework accepts."""
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    try:
        LLMConfig.load(path)
        accepted = True
    except ConfigurationError:
        accepted = False
    assert jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text)) is accepted


def test_the_file_on_the_page_is_right(tmp_path: Path) -> None:
    """The YAML that the page shows loads."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "settings.yaml"
    path.write_text(shown)
    assert LLMConfig.load(path).fallback_models[-1] == "tiny-chat"
