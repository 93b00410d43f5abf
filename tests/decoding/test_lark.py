"""Grammars that users write: what is refused, and that answers keep to them and end within their budget."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest

from llm_framework.decoding import lark
from llm_framework.decoding.constraints import ConstraintCompiler
from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.types import InferenceRequest, ResponseFormat, ToolSpec

EXPRESSION = """start: expr
expr: term (("+" | "-" | "*") term)*
term: NUMBER | "(" expr ")" | NAME
NUMBER: /[0-9]+/
NAME: /[a-z_]+/
"""
QUERY = """start: "SELECT " columns " FROM " NAME where? ";"
columns: "*" | NAME (", " NAME)*
where: " WHERE " condition (" AND " condition)*
condition: NAME " = " VALUE
NAME: /[a-z][a-z_]{0,15}/
VALUE: /'[^'\\n]*'/ | /[0-9]{1,9}/
"""
ELEMENTS = """start: element
element: "<" NAME ">" (element | TEXT)* "</" NAME ">"
NAME: /[a-z]+/
TEXT: /[^<>]+/
"""
MIXED = """start: "Answer: " object
object: %json {"type": "object", "properties": {"b": {"type": "string", "minLength": 10}}, "required": ["b"]}
"""
GRAMMARS = {"expression": EXPRESSION, "query": QUERY, "elements": ELEMENTS, "mixed": MIXED}


class Bytes:
    """A vocabulary of single bytes; <eos> is 256."""

    specials: Mapping[str, int] = {"<eos>": 256, "<tool_call>": 257, "</tool_call>": 258}

    def encode(self, text: str, *, add_bos: bool = False, parse_special: bool = True) -> list[int]:
        """Byte by byte."""
        return list(text.encode())

    def token_bytes(self, id: int) -> bytes:
        """What the token stands for."""
        return bytes([id]) if id < 256 else [*self.specials][id - 256].encode()

    def is_special(self, id: int) -> bool:
        """Whether it is one."""
        return id > 255


def compiler() -> ConstraintCompiler:
    """A compiler for it."""
    return ConstraintCompiler(Bytes(), 259, [256])


def request(source: str) -> InferenceRequest:
    """A request for text of a grammar."""
    return InferenceRequest("x", response_format=ResponseFormat(lark=source))


# ------------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('start: "a" foo', 'line 1, column 8: unknown name: "foo"'),
        ('start: "a"\nb: /x', "line ., column .: lexer error"),
        ('begin: "a"', "no start rule"),
        ("start: b\nb: /a(?=b)/", "line 2, column .*look-ahead"),
        ("", "[Ee]mpty"),
        ('start: b\nb: "x" <|end|>', r"line 2: <\|end\|> is a special token"),
        ('start: "x" <[7]>', "special token"),
        ("start: b\nb[max_tokens=3]: /x*/", "line 2: max_tokens is an option of the request"),
    ],
)
def test_a_bad_grammar_is_refused_with_its_place(source: str, fault: str) -> None:
    """The error gives the reason, and the line where it is known."""
    with pytest.raises(InvalidRequestError, match=r"Lark grammar of response_format cannot be used: .*" + fault):
        compiler().for_request(request(source), (), 100)


def test_what_only_looks_like_a_special_token_is_text() -> None:
    """In strings, expressions and comments angle brackets are what they are."""
    lark.check('start: "<b>" /<i>/ // <x>\n  | "\\"<u>"')


def test_a_grammar_without_an_end_is_refused() -> None:
    """Where no text comes to an end nothing is generated."""
    with pytest.raises(UnsupportedFeatureError, match="comes to an end"):
        compiler().for_request(request('start: "a" start'), (), 100)


@pytest.mark.parametrize("values", [{}, {"schema": {}, "lark": "x"}, {"regex": "x", "lark": "x"}, {"lark": 3}])
def test_a_form_is_one_of_three(values: dict[str, object]) -> None:
    """Exactly one of schema, regex and lark is given, and the latter is text."""
    with pytest.raises(InvalidRequestError):
        ResponseFormat(**values)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------------- texts
@pytest.mark.parametrize("source", GRAMMARS.values(), ids=GRAMMARS)
def test_random_texts_are_whole_within_their_budget(source: str) -> None:
    """Whatever is drawn, and wherever the budget ends, the text is one of the grammar's."""
    made = compiler()
    needed = made.for_request(request(source), (), 500).num_needed  # type: ignore[union-attr]
    with pytest.raises(InvalidRequestError, match=f"needs {needed}"):
        made.for_request(request(source), (), needed - 1)
    for seed in range(8):
        draw = random.Random(seed)
        budget = needed + draw.randrange(40)
        one = made.for_request(request(source), (), budget)
        assert one is not None
        text = b""
        for left in range(budget - 1, -1, -1):
            mask = one.mask()
            assert mask is not None
            allowed = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")[:256])
            taken = one.commit(int(draw.choice(allowed)), left) if len(allowed) else None
            if taken is None:
                break
            text += bytes([taken])
        assert lark.matches(source, text.decode())


def test_calls_may_be_made_instead() -> None:
    """With tools an answer is a text of the grammar, or calls."""
    tools = (ToolSpec("stop", "", {"type": "object", "properties": {}}),)
    asked = InferenceRequest("x", tools=tools, response_format=ResponseFormat(lark='start: "yes" | "}" NO\nNO: "no"'))
    for tokens in ([*b"yes"], [*b"}no"], [257, *b'{"name": "stop", "arguments": {}}', 258]):
        one = compiler().for_request(asked, tools, 100)
        assert one is not None
        assert [one.commit(token, 90) for token in tokens] == tokens
        assert one.may_end()
