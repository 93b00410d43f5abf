"""`docs/prompted-dialect.md`, as far as it is about what the model is given."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llm_framework.decoding.dialects import choose_dialect
from llm_framework.decoding.dialects.prompted import call_text, offered_tools, tools_text
from llm_framework.decoding.tool_calls import PlainText, ToolCallParser
from llm_framework.errors import UnsupportedFeatureError
from llm_framework.types import (
    ImagePart,
    InferenceRequest,
    Message,
    Part,
    ResponseFormat,
    ThinkingPart,
    ToolCall,
    ToolResult,
    ToolSpec,
)

WEATHER = ToolSpec(
    "get_weather",
    "Get the current  weather\nin a city.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "The name of\n the city."},
            "unit": {"type": "string", "enum": ["c", "f"]},
        },
        "required": ["city"],
    },
)
LIST_FILES = ToolSpec("list_files", "List the files of a folder.")
NO_WORDS = ToolSpec("no_words")
DOCUMENT = Path(__file__).parents[2] / "docs" / "prompted-dialect.md"


def contents(request: InferenceRequest) -> list[tuple[str, str]]:
    """Role and content of the dialect's turns."""
    return [(turn["role"], turn["content"]) for turn in choose_dialect().turns(request)]


def test_the_tools_are_written_as_the_document_shows() -> None:
    """The document's own example is what the code writes."""
    example = re.search(r"^    You can call these tools:\n(?:    .*\n)+", DOCUMENT.read_text(), re.MULTILINE)
    assert example is not None
    assert tools_text([WEATHER, LIST_FILES]) == re.sub("(?m)^    ", "", example[0]).rstrip("\n")


def test_a_tool_without_a_description_has_no_dash() -> None:
    """The description is left out with its dash when it is empty."""
    assert tools_text([NO_WORDS]).splitlines()[1] == "no_words()"


def test_tools_and_answer_form_follow_the_system_text() -> None:
    """System text, tools and the form of the answer stand in this order, with blank lines between them."""
    form = ResponseFormat(schema={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    messages = (Message.system("Be brief."), Message.user("Hi"))
    request = InferenceRequest(messages=messages, tools=(NO_WORDS,), response_format=form)
    assert contents(request) == [
        ("system", f'Be brief.\n\n{tools_text([NO_WORDS])}\n\nReply only with JSON of this form:\n{{"a": integer}}'),
        ("user", "Hi"),
    ]


def test_tools_alone_are_the_system_text() -> None:
    """Without a system message the tools begin the system turn."""
    assert contents(InferenceRequest("Hi", tools=(NO_WORDS,))) == [("system", tools_text([NO_WORDS])), ("user", "Hi")]


def test_a_plain_chat_is_left_as_it_is() -> None:
    """A chat without tools gets nothing added."""
    chat = (Message.user("a"), Message.assistant("b"), Message.user("c"))
    assert contents(InferenceRequest(messages=chat)) == [("user", "a"), ("assistant", "b"), ("user", "c")]


def test_calls_and_results_are_written_into_the_history() -> None:
    """Calls stand one a line after the text; results make a user turn, in the order of the calls."""
    first = ToolCall("1", "get_weather", {"unit": "c", "city": "Zürich"})
    second = ToolCall("2", "list_files", {})
    messages = (
        Message.user("Weather?"),
        Message.assistant(ThinkingPart("hm"), "Let me look.", first, second),
        Message.tool(ToolResult("2", "no such folder", is_error=True)),
        Message.tool(ToolResult("1", "sunny, 21 C")),
    )
    assert contents(InferenceRequest(messages=messages, tools=(WEATHER, LIST_FILES)))[1:] == [
        ("user", "Weather?"),
        (
            "assistant",
            "Let me look.\n"
            '<tool_call>{"name": "get_weather", "arguments": {"city": "Zürich", "unit": "c"}}</tool_call>\n'
            '<tool_call>{"name": "list_files", "arguments": {}}</tool_call>',
        ),
        (
            "user",
            "<tool_result>sunny, 21 C</tool_result>\n<tool_result>Error: no such folder</tool_result>",
        ),
    ]


def test_a_broken_call_is_shown_as_the_model_wrote_it() -> None:
    """A call whose arguments did not parse goes back with its raw arguments."""
    assert call_text(ToolCall.from_raw("1", "f", '{"a": }')) == (
        '<tool_call>{"name": "f", "arguments": {"a": }}</tool_call>'
    )


def test_neighbours_of_one_role_become_one_turn() -> None:
    """Turns alternate: what one side says twice in a row is one turn, and results come before the user's words."""
    messages = (
        Message.user("a"),
        Message.user("b"),
        Message.assistant("c"),
        Message.assistant(ToolCall("1", "f", {})),
        Message.tool(ToolResult("1", "d")),
        Message.user("e"),
    )
    assert contents(InferenceRequest(messages=messages)) == [
        ("user", "a\n\nb"),
        ("assistant", 'c\n<tool_call>{"name": "f", "arguments": {}}</tool_call>'),
        ("user", "<tool_result>d</tool_result>\n\ne"),
    ]


def test_a_later_system_message_heads_the_next_user_turn() -> None:
    """A system message in mid-chat stays at its place in the chat."""
    messages = (
        Message.system("s1"), Message.system("s2"), Message.user("a"), Message.assistant("b"), Message.system("s3"),
        Message.user("c"),
    )  # fmt: skip
    assert contents(InferenceRequest(messages=messages)) == [
        ("system", "s1\n\ns2"), ("user", "a"), ("assistant", "b"), ("user", "s3\n\nc")
    ]  # fmt: skip


@pytest.mark.parametrize(("choice", "names"), [(None, "ab"), ("auto", "ab"), ("any", "ab"), ("none", ""), ("b", "b")])
def test_tool_choice_says_which_tools_are_offered(choice: str | None, names: str) -> None:
    """`tool_choice` offers all tools, none, or the one it names; calls are looked for only where tools are offered."""
    request = InferenceRequest("Hi", tools=(ToolSpec("a"), ToolSpec("b")), tool_choice=choice)
    assert "".join(tool.name for tool in offered_tools(request)) == names
    assert isinstance(choose_dialect().parser(request), ToolCallParser if names else PlainText)


@pytest.mark.parametrize(
    "message",
    [Message.user("Look:", ImagePart(data=b"x")), Message.tool(ToolResult("1", (ImagePart(data=b"x"),)))],
)
def test_an_image_is_refused_by_name(message: Message) -> None:
    """A part that is no text is refused, and the error names it."""
    with pytest.raises(UnsupportedFeatureError, match="ImagePart") as caught:
        choose_dialect().turns(InferenceRequest(messages=(message,)))
    assert caught.value.feature == "ImagePart"


def test_a_regular_expression_is_asked_for() -> None:
    """The prompt says which expression the answer must match, and the answer is read as it is."""
    request = InferenceRequest("Hi", response_format=ResponseFormat(regex="a+"))
    turns = choose_dialect().turns(request)
    assert turns[0]["content"] == "Reply only with text that matches this regular expression:\na+"
    assert choose_dialect().parser(request).feed("```a") == ["```a"]


def test_a_grammar_is_asked_for() -> None:
    """The prompt shows the grammar, and the answer is read as it is."""
    request = InferenceRequest("Hi", response_format=ResponseFormat(lark='start: "a"\n'))
    turns = choose_dialect().turns(request)
    assert turns[0]["content"] == 'Reply only with text that this grammar (Lark) allows:\nstart: "a"'
    assert choose_dialect().parser(request).feed("```a") == ["```a"]


def test_everything_that_is_not_the_dialects_own_is_quoted() -> None:
    """All text from outside goes through `quote`; the dialect's own markers do not."""
    parts: tuple[str | Part, ...] = ("T", ToolCall("1", "f", {"a": "A"}))
    messages = (
        Message.system("S"), Message.user("U"), Message.assistant(*parts), Message.tool(ToolResult("1", "R"))
    )  # fmt: skip
    request = InferenceRequest(messages=messages, tools=(ToolSpec("f", "D"),))
    turns = choose_dialect().turns(request, lambda text: re.sub("[A-Z]", "?", text))
    system = "?\n\nYou can call these tools:\nf() - ?\n" + tools_text([]).splitlines()[-1]
    assert [turn["content"] for turn in turns] == [
        system, "?", '?\n<tool_call>{"name": "f", "arguments": {"a": "?"}}</tool_call>', "<tool_result>?</tool_result>"
    ]  # fmt: skip
