from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from llm_framework import ConfigurationError, LLMConfig, LLMFramework
from llm_framework.testing import FakeBackend

YAML = """\
generation:
  default_temperature: 0.3
  default_top_k: 7
fallbacks:
  fallback_models: [a, b]
"""


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(YAML)
    return path


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    return path


def test_defaults_are_those_promised() -> None:
    """Without any source, the documented defaults hold."""
    config = LLMConfig()
    assert (config.default_max_tokens, config.default_temperature, config.max_retries) == (512, 0.7, 2)
    assert (config.default_timeout, config.idle_timeout, config.max_queue) == (300.0, 60.0, 1000)
    assert config.enable_fallbacks
    assert config.num_threads >= 1
    assert config.origin("max_queue") == "default"


def test_environment_beats_code_beats_yaml(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source wins over the weaker ones, and the origin says which it was."""
    config = LLMConfig.load(yaml_file, {"default_top_k": 9})
    assert (config.default_temperature, config.default_top_k) == (0.3, 9)
    assert config.origin("default_top_k") == "code"
    assert config.origin("default_temperature") == f"YAML file {yaml_file}, line 2"
    monkeypatch.setenv("LLM_FRAMEWORK_DEFAULT_TOP_K", "11")
    config = LLMConfig.load(yaml_file, {"default_top_k": 9})
    assert config.default_top_k == 11
    assert "LLM_FRAMEWORK_DEFAULT_TOP_K" in config.origin("default_top_k")


def test_the_constructor_obeys_the_same_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """`LLMConfig(**values)` lets the environment win and reads the file in the working folder."""
    Path("framework_config.yaml").write_text(YAML)
    monkeypatch.setenv("LLM_FRAMEWORK_MAX_RETRIES", "5")
    config = LLMConfig(max_retries=1, default_top_k=3)
    assert (config.max_retries, config.default_top_k, config.default_temperature) == (5, 3, 0.3)


def test_the_file_is_looked_for_in_order(yaml_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named path goes before the variable, the variable before the working folder, that before the user's."""
    user = tmp_path / "config" / "llm-framework" / "framework_config.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("max_retries: 4")
    assert LLMConfig().max_retries == 4
    Path("framework_config.yaml").write_text("max_retries: 3")
    assert LLMConfig().max_retries == 3
    monkeypatch.setenv("LLM_FRAMEWORK_CONFIG", str(yaml_file))
    assert LLMConfig().default_top_k == 7
    assert LLMConfig.load(write(tmp_path, "max_retries: 9")).max_retries == 9


@pytest.mark.parametrize(
    ("text", "line", "names"),
    [
        ("generation:\n  default_temprature: 1.0\n", 2, "default_temprature"),
        ("generation:\n  default_top_k: 3\n  default_temperature: hot\n", 3, "default_temperature"),
        ("\nmax_retries: two\n", 2, "max_retries"),
        ("modles:\n  models_dir: x\n", 1, "modles"),
        ("models:\n  default_top_k: 3\n", 2, "generation"),
        ("api_credentials:\n  openai:\n    base_url: 7\n", 3, "base_url"),
        ("performance:\n  max_retries: 1\n  max_retries: 2\n", 3, "max_retries"),
        ("max_retries: 1\nperformance: {max_retries: 2}\n", 2, "max_retries"),
        ("a: [1\nb: 2\n", 2, "YAML"),
        ("- a\n", 1, "mapping"),
        ("generation: 3\n", 1, "section"),
        ("max_retries: '2'\n", 1, "max_retries"),
        ("log_level: LOUD\n", 1, "log_level"),
        ("max_retries: 1\nlog_level: 2024-13-45\n", 2, "2024-13-45"),
        ("\nplugins: &a\n  acme: *a\n", 2, "holds itself"),
        ("generation:\n\tdefault_top_k: 1\n", 2, "cannot start any token"),
        ('models:\n  default_model: "abc\n\n', 4, "quoted scalar"),
        ("max_retries: 1\n\0\n", 2, "not allowed"),
        ("default_model: !!python/name:os.system\n", 1, "python/name"),
        ("a: 1\n---\nb: 1\n", 2, "another document"),
        ("plugins:\n  acme: 7\n", 2, "plugins"),
        ("fallbacks:\n  fallback_models:\n    - a\n    - 7\n", 4, "fallback_models"),
    ],
)
def test_a_wrong_file_is_an_error_with_key_file_and_line(tmp_path: Path, text: str, line: int, names: str) -> None:
    """What is wrong in a YAML file is told with the key, the file and the line."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        LLMConfig.load(path)
    assert names in str(caught.value)
    assert f"{path}, line {line}" in str(caught.value)


@pytest.mark.parametrize(
    "values", [{"default_temprature": 1}, {"max_retries": "2"}, {"max_retries": -1}, {"default_timeout": 0}]
)
def test_wrong_values_in_code_are_errors(values: dict[str, object]) -> None:
    """Unknown keys and wrong types given in code are refused, naming the key."""
    with pytest.raises(ConfigurationError, match=next(iter(values))):
        LLMConfig(**values)


def test_a_typing_error_is_answered_with_the_nearest_name() -> None:
    """An unknown key names the setting, or the section, that it resembles."""
    with pytest.raises(ConfigurationError, match="did you mean 'generation'"):
        LLMConfig.load(None, {"generatoin": {"default_top_k": 3}})
    with pytest.raises(ConfigurationError, match="default_model"):
        LLMConfig(defualt_model="x")


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("FALLBACK_MODELS", "a, b ,c", ["a", "b", "c"]),
        ("FALLBACK_MODELS", "", []),
        ("MAX_CONCURRENT_REQUESTS", "4", 4),
        ("MAX_CONCURRENT_REQUESTS", '{"m": 2}', {"m": 2}),
        ("AUTO_DISCOVER_MODELS", "false", False),
        ("DEFAULT_TIMEOUT", "none", None),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("DEFAULT_TEMPERATURE", "", 0.7),
        ("PLUGIN_DIRS", "/a,/b", [Path("/a"), Path("/b")]),
    ],
)
def test_variables_are_read_as_their_fields_type(
    variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable's text becomes the field's type: lists by commas, mappings from JSON, empty is not set."""
    monkeypatch.setenv(f"LLM_FRAMEWORK_{variable}", text)
    assert getattr(LLMConfig(), variable.lower()) == value


@pytest.mark.parametrize(("variable", "text"), [("MAX_RETRIES", "many"), ("MAX_RETRIES", "-1"), ("PLUGINS", "{x")])
def test_a_wrong_variable_is_named(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that cannot be read is an error that names it."""
    monkeypatch.setenv(f"LLM_FRAMEWORK_{variable}", text)
    with pytest.raises(ConfigurationError, match=f"LLM_FRAMEWORK_{variable}"):
        LLMConfig()


def test_unknown_variables_are_ignored_with_a_debug_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A variable with our prefix that is no setting does no harm."""
    monkeypatch.setenv("LLM_FRAMEWORK_COLOUR", "red")
    with caplog.at_level("DEBUG", logger="llm_framework"):
        LLMConfig()
    assert "LLM_FRAMEWORK_COLOUR" in caplog.text


def test_keys_show_in_no_repr(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key nor an unknown credential or plugin setting is part of the configuration's repr."""
    config = LLMConfig(
        api_credentials={"openai": {"api_key": "sk-hidden1", "token": "sk-hidden2"}}, plugins={"p": {"k": "sk-hidden3"}}
    )
    assert "sk-hidden" not in repr(config) + str(config)
    with pytest.raises(ConfigurationError) as caught:
        LLMConfig(api_credentials={"openai": {"api_key": ["sk-hidden4"]}})
    assert "sk-hidden" not in str(caught.value)
    monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", "sk-hidden5")
    with pytest.raises(ConfigurationError) as from_variable:
        LLMConfig()
    assert "sk-hidden" not in str(from_variable.value)


def test_plugins_may_stand_in_a_section_or_flat(tmp_path: Path) -> None:
    """Under `plugins`, its two fields are taken as such and everything else as a plugin's settings by name."""
    config = LLMConfig.load(write(tmp_path, "plugins:\n  plugin_dirs: [~/p]\n  acme: {k: 1}\n"))
    assert config.plugin_dirs == [Path("~/p").expanduser()]
    assert config.plugins == {"acme": {"k": 1}}
    assert LLMConfig(plugins={"acme": {"k": 1}}).plugins == {"acme": {"k": 1}}


def test_what_is_no_text_is_told_with_its_line(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are told with file and line; a byte order mark is none of them."""
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"max_retries: 1\ndefault_model: caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"latin\.yaml, line 2: .*UTF-8"):
        LLMConfig.load(path)
    path.write_bytes(b"\xef\xbb\xbfmax_retries: 3\n")
    assert LLMConfig.load(path).max_retries == 3


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder in the place of the file is told as such."""
    with pytest.raises(ConfigurationError, match="not a file"):
        LLMConfig.load(tmp_path)


def test_the_origin_of_what_stands_inside_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with dots tells the line of an inner value; the environment replaces the whole setting."""
    path = write(tmp_path, "api_credentials:\n  openai:\n    organization: acme\n    base_url: http://h/v1\n")
    config = LLMConfig.load(path)
    assert config.file == path
    assert config.origin("api_credentials.openai.base_url") == f"YAML file {path}, line 4"
    assert config.origin("api_credentials.openai.nothing") == f"YAML file {path}, line 2"
    monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", '{"openai": {"base_url": "http://other/v1"}}')
    assert "API_CREDENTIALS" in LLMConfig.load(path).origin("api_credentials.openai.base_url")
    with pytest.raises(ConfigurationError, match="max_retries"):
        config.origin("max_retrys")


async def test_a_call_goes_before_every_source(yaml_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temperature and the like are taken from the call where it gives them, whatever the environment says."""
    monkeypatch.setenv("LLM_FRAMEWORK_DEFAULT_TEMPERATURE", "1.5")
    backend = FakeBackend()
    async with LLMFramework(LLMConfig.load(yaml_file)) as framework:
        backend.install(framework)
        await framework.generate_text("hi", model_name="fake")
        await framework.generate_text("hi", model_name="fake", temperature=0.0, top_k=2, max_tokens=3)
        await framework.generate_text("hi", model_name="fake")
    sent = [(r.config.temperature, r.config.top_k, r.config.max_tokens) for r in backend.requests]
    assert sent == [(1.5, 7, 512), (0.0, 2, 3), (1.5, 7, 512)]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A path that was named and is not there is told."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        LLMFramework(tmp_path / "nowhere.yaml")


def test_a_config_survives_pickle_and_copy() -> None:
    """Copies are equal and know their origins."""
    config = LLMConfig(max_retries=1)
    for other in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config)):
        assert other == config
        assert other.origin("max_retries") == "code"


def test_concurrency_is_by_model_and_backend() -> None:
    """Native models default to many at a time, others to ten; a number holds for all, a mapping by name."""
    assert LLMConfig().concurrency_of("m", "native") == 64
    assert LLMConfig().concurrency_of("m", "openai") == 10
    assert LLMConfig(max_concurrent_requests=3).concurrency_of("m", "native") == 3
    by_name = LLMConfig(max_concurrent_requests={"m": 2})
    assert (by_name.concurrency_of("m", "native"), by_name.concurrency_of("n", "openai")) == (2, 10)
