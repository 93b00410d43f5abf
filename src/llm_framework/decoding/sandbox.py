"""Runs a chat template that came with a model file, that is: a program by a stranger.

Jinja's sandbox keeps it away from the interpreter; the budget here keeps it from taking all the time and memory. Every
call, every turn of a loop and all text that is made costs; a template that spends too much gets `TemplateLimitError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_STEPS = 1_000_000
MAX_CHARS = 1 << 25
_CALL_STEPS = 5  # a call takes about as long as so many turns of a loop
_MAX_WIDTH = 256  # of padding and indentation
_MAX_BITS = 1024  # of a number
# They pad to any width, and no chat template needs them.
_FILTERS_LEFT_OUT = ("center", "format", "wordwrap", "batch", "slice", "pprint", "xmlattr", "urlize")
_METHODS_LEFT_OUT = frozenset({"format", "format_map", "center", "ljust", "rjust", "zfill", "expandtabs"})
_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*(\*|\d{4})")


class TemplateLimitError(SecurityError):
    """The template does more than the rendering of a chat can need."""


class TemplateRefusal(TemplateError):
    """The template called `raise_exception`: it does not take this chat."""


class Budget:
    """What one rendering may still spend."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._chars = MAX_CHARS

    def step(self, cost: int = 1) -> None:
        """Pay for one turn of a loop, or `cost` times as much."""
        self._steps -= cost
        if self._steps < 0:
            raise TemplateLimitError(f"it takes more than {MAX_STEPS} steps")

    def reserve(self, chars: int) -> None:
        """Pay for text or a list that is going to be made."""
        self._chars -= chars
        if self._chars < 0:
            raise TemplateLimitError(f"it makes more than {MAX_CHARS} characters of text")

    def pay(self, value: Any) -> Any:
        """Pay for a value that was made, if it has a size."""
        if isinstance(value, (str, list, tuple)):
            self.reserve(len(value))
        return value


_budget: ContextVar[Budget] = ContextVar("budget")


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The environment that Hugging Face's chat templates are written for, with a budget."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self) -> None:
        extensions = [loopcontrols, _GenerationTag]
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, finalize=_paid)
        for name in _FILTERS_LEFT_OUT:
            self.filters.pop(name, None)
        self.filters.update(tojson=_to_json, string=_string, indent=_indent, replace=_replace, join=_join)
        self.filters = {name: _paying(filter) for name, filter in self.filters.items()}
        self.filters.update(_counted=_counted, _joined=_joined)
        self.globals.pop("lipsum", None)
        self.globals.update(raise_exception=_raise_exception, strftime_now=_strftime_now)

    def compile_text(self, source: str) -> Any:
        """The code of a template, for `render_text`."""
        token = _budget.set(Budget())  # jinja2 computes constants while it compiles
        try:
            return self.compile(source)
        finally:
            _budget.reset(token)

    def render_text(self, code: Any, variables: Mapping[str, Any]) -> str:
        """The text of a compiled template. Raises jinja2's exceptions, and whatever else the template provokes."""
        token = _budget.set(Budget())
        try:
            template = self.template_class.from_code(self, code, self.make_globals(None))
            return "".join(map(_budget.get().pay, template.generate(**variables)))
        finally:
            _budget.reset(token)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call in the template."""
        budget = _budget.get()
        budget.step(_CALL_STEPS)
        name, owner = getattr(obj, "__name__", ""), getattr(obj, "__self__", None)
        if name in _METHODS_LEFT_OUT:
            raise SecurityError(f"a chat template may not call {name}()")
        if isinstance(owner, str) and name in ("replace", "join"):
            return _replace(context, owner, *args) if name == "replace" else _join(context, args[0], owner)
        return budget.pay(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator in the template."""
        _check_operands(operator, left, right)
        return _budget.get().pay(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = Parser(self, source, name, filename).parse()
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
        _replace_concats(tree)
        tree.set_environment(self)
        return tree


class _GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}` marks the model's words for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The block's body alone."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _replace_concats(node: nodes.Node) -> None:
    """Make each `a ~ b` below `node` a call of `_joined`, so that it is paid for."""
    for field, value in node.iter_fields():
        items = value if isinstance(value, list) else [value]
        for position, item in enumerate(items):
            if not isinstance(item, nodes.Node):
                continue
            _replace_concats(item)
            if isinstance(item, nodes.Concat):
                parts = nodes.List(item.nodes, lineno=item.lineno)
                items[position] = nodes.Filter(parts, "_joined", [], [], None, None, lineno=item.lineno)
        if not isinstance(value, list):
            setattr(node, field, items[0])


def _check_operands(operator: str, left: Any, right: Any) -> None:
    numbers = [value for value in (left, right) if isinstance(value, int)]
    if len(numbers) == 2 and operator in ("*", "**"):
        bits = left.bit_length() * (right if operator == "**" else 1) + right.bit_length()
        if bits > _MAX_BITS:
            raise TemplateLimitError("it computes with numbers that are too large")
    elif operator == "*" and numbers:
        text = right if left is numbers[0] else left
        _budget.get().reserve(len(text) * max(0, numbers[0]) if hasattr(text, "__len__") else 0)
    elif operator == "%" and isinstance(left, str):
        if _WIDE_FORMAT.search(left):
            raise TemplateLimitError("it pads text to a great width")
        _budget.get().reserve(_written_size(right))


def _text(value: Any) -> str:
    """`value` as text, paid for beforehand: a small list can hold a large text a thousand times."""
    _budget.get().reserve(_written_size(value))
    return str(value)


def _written_size(value: Any) -> int:
    """About the length of `str(value)`."""
    size, num_items, todo = 0, 0, [value]
    while todo and size <= MAX_CHARS:
        item = todo.pop()
        size += len(item) if isinstance(item, (str, bytes)) else 1
        num_items += 1
        if num_items > MAX_STEPS:
            raise TemplateLimitError(f"it prints a list of more than {MAX_STEPS} items")
        if isinstance(item, Mapping):
            todo.extend(item.keys())
            todo.extend(item.values())
        elif isinstance(item, (list, tuple, set, KeysView, ValuesView, ItemsView)):
            todo.extend(item)
        elif isinstance(item, Namespace):
            raise TemplateLimitError("it prints a namespace")
    return size


def _paying(filter: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, its result paid for."""

    @wraps(filter)  # with the marks of jinja2's pass_context and the like
    def paying(*args: Any, **kwargs: Any) -> Any:
        return _budget.get().pay(filter(*args, **kwargs))

    return paying


# ------------------------------------------------------------------------- filters and functions of the environment
# `pass_context` also keeps jinja2 from computing them while it compiles, where there is no budget.
@pass_context
def _paid(context: Context, value: Any) -> str:
    return _text(value)


@pass_context
def _counted(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    budget = _budget.get()
    for value in values:
        budget.step()
        yield value


@pass_context
def _joined(context: Context, values: Iterable[Any]) -> str:
    return "".join(map(_text, values))


@pass_context
def _join(context: Context, values: Iterable[Any], separator: str = "", attribute: Any = None) -> str:
    if attribute is not None:
        get = context.environment.getitem if isinstance(attribute, int) else context.environment.getattr
        values = (get(value, attribute) for value in values)
    parts = [_text(value) for value in values]
    _budget.get().reserve(len(str(separator)) * len(parts))
    return str(separator).join(parts)


@pass_context
def _string(context: Context, value: Any) -> str:
    return _text(value)


@pass_context
def _replace(context: Context, text: Any, old: str, new: str, count: int | None = None) -> str:
    source, limit = _text(text), -1 if count is None else count
    times = source.count(str(old)) if limit < 0 else min(limit, source.count(str(old)))
    _budget.get().reserve(len(source) + times * len(str(new)))
    return source.replace(str(old), str(new), limit)


@pass_context
def _indent(context: Context, text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    pad = width if isinstance(width, str) else " " * min(width, _MAX_WIDTH)
    lines = _text(text).splitlines()
    _budget.get().reserve(len(pad) * len(lines))
    indented = [pad + line if blank or line else line for line in lines]
    if lines and not first:
        indented[0] = lines[0]
    return "\n".join(indented)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    # Not jinja2's own: that one escapes for HTML, which would change what the model reads.
    _budget.get().reserve(_written_size(value))
    indent = min(indent, _MAX_WIDTH) if isinstance(indent, int) else None
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: object = "") -> NoReturn:
    raise TemplateRefusal(str(message))


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)
