"""Who may import whom. A layer imports from itself and from those above it in the list, never from below."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import llm_framework

PACKAGE = Path(llm_framework.__file__).parent

# A name stands for the module and everything in it; the longest one that fits counts.
LAYERS: list[list[str]] = [
    ["_version", "redaction", "errors", "types", "gateways"],
    ["config.yaml_file", "config.origins"],
    ["embedding", "logs"],
    ["secrets"],
    ["config", "inputs"],
    ["config.schema"],
    ["registry.model_info"],
    ["plugins"],
    ["decoding", "native._native", "native.reading"],
    ["native.architecture.config"],
    ["native.architecture.gemma4", "native.architecture.tensor_names"],
    ["native.architecture"],
    ["native.formats.gguf_metadata", "native.formats.sbs_container", "native.formats.sbs_record"],
    ["native.formats"],
    ["native.gguf_config", "native.sbs_config"],
    ["native.config", "native.weights"],
    ["native.header"],
    ["registry"],
    ["backends.base", "backends.protocols"],
    ["backends.http"],
    ["backends", "native"],
    ["engine.deadline", "engine.limiter", "engine.retry", "engine.metrics", "engine.batch", "engine.structured"],
    ["engine.filling_in", "engine.genai_attributes", "engine.prices"],
    ["engine.telemetry"],
    ["engine.breaker", "engine.rate_limit"],
    ["engine.memory"],
    ["engine.pool", "engine.target"],
    ["engine.running"],
    ["engine.embedding"],
    ["engine", "engine.engine"],
    ["engine.fallback", "sync"],
    ["framework", "sync_view", "testing", "jobs"],
    ["adapters", "integration", "cli", "bench", "doctor"],
]
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> int:
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for number, layer in enumerate(LAYERS):
            if name in layer:
                return number
    raise AssertionError(f"llm_framework.{module} stands in no layer: add it to LAYERS")


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not is_type_checking(child):
            yield child
            yield from walk(child)


def imports_of(path: Path) -> Iterator[str]:
    """The modules of this package that the file imports, without the package's name."""
    module = name_of(path)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name[14:] for alias in node.names if alias.name.startswith("llm_framework."))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else None
            if base is None and (node.module or "").split(".")[0] != "llm_framework":
                continue
            head = (base or []) + (node.module or "").removeprefix("llm_framework").strip(".").split(".")
            for alias in node.names:
                yield from resolve([part for part in head if part], alias.name)


def resolve(head: list[str], name: str) -> Iterator[str]:
    """`from head import name`: the module that `name` is, else the one that it stands in."""
    candidate = PACKAGE.joinpath(*head, name)
    if candidate.with_suffix(".py").exists() or candidate.is_dir() or candidate.with_suffix(".pyi").exists():
        yield ".".join([*head, name])
    elif head:
        yield ".".join(head)


@pytest.mark.parametrize("path", [path for path in MODULES if path != PACKAGE / "__init__.py"], ids=name_of)
def test_no_arrow_points_the_wrong_way(path: Path) -> None:
    """A module imports its own layer and the ones above it only."""
    layer = layer_of(name_of(path))
    wrong = [target for target in imports_of(path) if layer_of(target) > layer]
    assert wrong == [], f"{name_of(path)} must not import {wrong}"


def test_values_and_errors_need_the_standard_library_only() -> None:
    """types, errors and redaction import nothing that must be installed."""
    import sys

    values = [path for path in MODULES if name_of(path).split(".")[0] in ("types", "errors", "redaction")]
    assert len(values) > 3
    for path in values:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            assert all(module.split(".")[0] in sys.stdlib_module_names for module in modules), modules


def test_one_module_imports_langchain() -> None:
    """Only the fallback chain knows LangChain."""
    users = {name_of(path) for path in MODULES if "langchain_core" in _foreign_imports(path)}
    assert users <= {"engine.fallback"}


def _foreign_imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_two_modules_read_the_environment(path: Path) -> None:
    """Settings come through config, keys through secrets; nobody else reads variables."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    readers = [
        ast.unparse(node) for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb", "putenv")
    ]  # fmt: skip
    if name_of(path) not in ("config.settings", "secrets"):
        assert readers == []


@pytest.mark.parametrize("path", [path for path in MODULES if not name_of(path).startswith("cli.")], ids=name_of)
def test_nobody_prints(path: Path) -> None:
    """A library speaks through logging."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_loggers_come_from_one_place(path: Path) -> None:
    """A module's logger is one of `logs.get_logger`, which takes keys out of what it is given."""
    text = path.read_text(encoding="utf-8")
    if name_of(path) not in ("", "logs"):  # the package itself adds the handler that does nothing
        assert "getLogger(__name__)" not in text
