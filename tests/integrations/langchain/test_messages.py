"""LangChain's messages and ours, both ways."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)

from langchain_llm_framework.messages import to_ai_chunk, to_ai_message, to_framework, to_langchain
from llm_framework.errors import InvalidRequestError, UnsupportedFeatureError
from llm_framework.types import (
    Chunk,
    DocumentPart,
    ImagePart,
    InferenceResponse,
    Message,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)

PNG = b"\x89PNG data"
PNG64 = base64.b64encode(PNG).decode()

texts = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
media = st.builds(ImagePart, data=st.binary(min_size=1, max_size=8), media_type=st.sampled_from(["image/png", None]))
urls = st.builds(ImagePart, url=names.map("https://example.org/{}".format))
documents = st.builds(
    DocumentPart, data=st.binary(min_size=1, max_size=8), media_type=st.just("application/pdf"), name=st.none() | names
)
user_parts = st.lists(st.builds(TextPart, texts) | media | urls | documents, min_size=1, max_size=4)
calls = st.builds(ToolCall.create, names, st.dictionaries(names, json_values, max_size=3), st.uuids().map(str))
broken_calls = st.builds(lambda id, name: ToolCall.from_raw(id, name, '{"a'), st.uuids().map(str), names)
results = st.builds(ToolResult, st.uuids().map(str), st.text(max_size=20), names | st.none(), st.booleans())
thinking = st.builds(ThinkingPart, texts, st.none() | names)


@st.composite
def assistant_messages(draw: st.DrawFn) -> Message:
    parts = draw(st.lists(thinking, max_size=1)) + draw(st.lists(st.builds(TextPart, texts), max_size=2))
    return Message("assistant", (*parts, *draw(st.lists(calls, max_size=2)), *draw(st.lists(broken_calls, max_size=1))))


chats = st.lists(
    st.one_of(
        st.builds(lambda parts, name: Message("user", tuple(parts), name=name), user_parts, names | st.none()),
        st.builds(Message.system, texts),
        assistant_messages(),
        st.builds(Message.tool, results),
    ),
    max_size=6,
)


@given(chats)
def test_chats_come_back_as_they_went(chat: list[Message]) -> None:
    """Our messages survive the way to LangChain and back, in any order of turns."""
    assert to_framework(to_langchain(chat)) == chat


@given(chats)
def test_langchain_messages_survive_the_v1_form(chat: list[Message]) -> None:
    """A message whose content LangChain has turned into standard blocks means the same."""
    as_blocks = [
        m.model_copy(update={"content": m.content_blocks}) if isinstance(m, (AIMessage, HumanMessage)) else m
        for m in to_langchain(chat)
    ]
    assert to_framework(as_blocks) == chat


def image(**block: Any) -> HumanMessage:
    return HumanMessage(content=[{"type": "text", "text": "what is it?"}, block])


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "base64": PNG64, "mime_type": "image/png"}, ImagePart(PNG, media_type="image/png")),
        ({"type": "image", "url": "https://a.b/c.png"}, ImagePart(url="https://a.b/c.png")),
        (
            {"type": "image", "source_type": "base64", "data": PNG64, "mime_type": "image/png"},
            ImagePart(PNG, media_type="image/png"),
        ),
        ({"type": "image", "source_type": "url", "url": "https://a.b/c.png"}, ImagePart(url="https://a.b/c.png")),
        ({"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}, ImagePart(url="https://a.b/c.png")),
        ({"type": "image_url", "image_url": "https://a.b/c.png"}, ImagePart(url="https://a.b/c.png")),
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG64}", "detail": "low"}},
            ImagePart(PNG, media_type="image/png"),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG64}},
            ImagePart(PNG, media_type="image/png"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://a.b/c"}}, ImagePart(url="https://a.b/c")),
        (
            {"type": "file", "base64": PNG64, "mime_type": "application/pdf", "extras": {"filename": "a.pdf"}},
            DocumentPart(PNG, media_type="application/pdf", name="a.pdf"),
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG64}"}},
            DocumentPart(PNG, media_type="application/pdf", name="a.pdf"),
        ),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PNG64},
                "title": "a",
            },
            DocumentPart(PNG, media_type="application/pdf", name="a"),
        ),
        ({"type": "input_text", "text": "typed"}, TextPart("typed")),
        ({"type": "input_image", "image_url": "https://a.b/c.png"}, ImagePart(url="https://a.b/c.png")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG64}"},
            DocumentPart(PNG, media_type="application/pdf", name="a.pdf"),
        ),
        ({"type": "media", "mime_type": "image/png", "data": PNG64}, ImagePart(PNG, media_type="image/png")),
        (
            {"type": "media", "mime_type": "application/pdf", "data": PNG64},
            DocumentPart(PNG, media_type="application/pdf"),
        ),
        ({"type": "document", "source": {"type": "text", "data": "long text"}}, TextPart("long text")),
        ({"type": "text-plain", "text": "long text", "mime_type": "text/plain"}, TextPart("long text")),
    ],
)
def test_media_in_every_shape(block: dict[str, Any], part: Any) -> None:
    """LangChain's v0 and v1 blocks, OpenAI's and Anthropic's all become the same parts."""
    assert to_framework([image(**block)]) == [Message.user("what is it?", part)]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "image", "url": "/etc/passwd"},
        {"type": "image", "base64": "%%%", "mime_type": "image/png"},
        {"type": "image_url"},
        {"type": "image", "url": "data:image/png,raw"},
        {"type": "hologram"},
    ],
)
def test_unreadable_content_is_refused(block: dict[str, Any]) -> None:
    """Content that cannot be read, or would read this machine's files, is an error that says so."""
    with pytest.raises(InvalidRequestError):
        to_framework([image(**block)])


@pytest.mark.parametrize("kind", ["audio", "video", "input_audio"])
def test_audio_and_video_are_not_supported(kind: str) -> None:
    """Media that no backend takes raise an error that names the kind."""
    with pytest.raises(UnsupportedFeatureError, match=kind):
        to_framework([image(type=kind, base64=PNG64)])


def test_tool_history() -> None:
    """Calls, results, the error status and the name of an unnamed result's tool are kept, also beside empty text."""
    chat: list[BaseMessage] = [
        HumanMessage("add"),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}]),
        ToolMessage("2", tool_call_id="c1"),
        ToolMessage([{"type": "text", "text": "no"}], tool_call_id="c1", status="error", name="other"),
    ]
    call = ToolCall("c1", "add", {"a": 1}, '{"a": 1}')
    assert to_framework(chat) == [
        Message.user("add"),
        Message.assistant(call),
        Message.tool(ToolResult("c1", "2", "add")),
        Message.tool(ToolResult("c1", "no", "other", is_error=True)),
    ]


def test_anthropic_history() -> None:
    """Anthropic's blocks for thinking, calls and results are read; a call that is listed too counts once."""
    use = {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    chat = [
        AIMessage(
            [thought, {"type": "text", "text": "ok"}, use], tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c1"}]
        ),
        HumanMessage([{"type": "tool_result", "tool_use_id": "c1", "content": "2"}, {"type": "text", "text": "go on"}]),
        AIMessage([use]),
    ]
    call = ToolCall("c1", "add", {"a": 1}, '{"a": 1}')
    assert to_framework(chat) == [
        Message.assistant(ThinkingPart("hm", "s"), TextPart("ok"), call),
        Message.tool(ToolResult("c1", "2", "add")),
        Message.user("go on"),
        Message.assistant(call),
    ]


def test_another_makers_answer() -> None:
    """What another provider ran itself in an earlier answer is left out: a chat may go on with another model. In a
    user's message such a block is an error."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    text = {"type": "output_text", "text": "Rain.", "annotations": []}
    assert to_framework([AIMessage([search, text])]) == [Message.assistant("Rain.")]
    with pytest.raises(InvalidRequestError):
        to_framework([HumanMessage([search])])


def test_roles_and_names() -> None:
    """Free roles are understood, a system message may stand in the middle, and names are kept."""
    chat = [
        ChatMessage("a", role="developer"),
        HumanMessage("b", name="Ann"),
        HumanMessage("c"),
        SystemMessage("d"),
        FunctionMessage("e", name="f"),
    ]
    assert to_framework(chat) == [
        Message.system("a"),
        Message("user", (TextPart("b"),), name="Ann"),
        Message.user("c"),
        Message.system("d"),
        Message.tool(ToolResult("f", "e", "f")),
    ]
    with pytest.raises(InvalidRequestError, match="wizard"):
        to_framework([ChatMessage("x", role="wizard")])
    with pytest.raises(InvalidRequestError, match="remove"):
        to_framework([RemoveMessage(id="1")])


def test_a_whole_answer() -> None:
    """An answer carries text, reasoning, calls good and bad, usage in whole numbers, and who gave it."""
    good, bad = ToolCall.create("add", {"a": 1}, "c1"), ToolCall.from_raw("c2", "add", "{")
    response = InferenceResponse(
        Message.assistant(ThinkingPart("hm"), TextPart("ok"), good, bad),
        "tool_calls",
        Usage(10, 5, cached_tokens=4, reasoning_tokens=2),
        "tiny-chat",
    )
    message = to_ai_message(response)
    assert message.text == "ok"
    assert message.content_blocks[0] == {"type": "reasoning", "reasoning": "hm"}
    assert message.tool_calls == [{"name": "add", "args": {"a": 1}, "id": "c1", "type": "tool_call"}]
    assert [call["args"] for call in message.invalid_tool_calls] == ["{"]
    assert message.usage_metadata == {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"cache_read": 4},
        "output_token_details": {"reasoning": 2},
    }
    assert message.response_metadata == {
        "model_name": "tiny-chat",
        "model_provider": "llm_framework",
        "finish_reason": "tool_calls",
    }


def test_usage_that_nobody_counted() -> None:
    """Usage that is our estimate says so."""
    response = InferenceResponse(Message.assistant("ok"), "stop", Usage(3, 1, estimated=True), "m")
    assert to_ai_message(response).response_metadata["usage_estimated"] is True


def test_pieces_add_up_to_the_answer() -> None:
    """The pieces of an answer, added as LangChain adds them, are the whole answer; empty ones are not passed on."""
    call = ToolCall.create("add", {"a": 1}, "c1")
    data = ToolCallDelta(0, arguments=call.raw_arguments[4:], provider_data={"signature": "s"})
    signed = ToolCall("c1", "add", {"a": 1}, call.raw_arguments, provider_data={"signature": "s"})
    whole = InferenceResponse(
        Message.assistant(ThinkingPart("hm", "sig"), TextPart("ok"), signed), "tool_calls", Usage(10, 5), "tiny-chat"
    )
    pieces = [
        Chunk(),
        Chunk(thinking="h"),
        Chunk(thinking="m"),
        Chunk("o"),
        Chunk("k"),
        Chunk(tool_call=ToolCallDelta(0, "c1", "add", call.raw_arguments[:4])),
        Chunk(tool_call=data),
        Chunk(finish_reason="tool_calls", usage=whole.usage, response=whole),
    ]
    chunks = [chunk for chunk in map(to_ai_chunk, pieces) if chunk is not None]
    assert len(chunks) == len(pieces) - 1
    assert [chunk.chunk_position for chunk in chunks] == [None] * 6 + ["last"]
    assert sum(chunk.usage_metadata is not None for chunk in chunks) == 1
    added: AIMessageChunk = chunks[0] + chunks[1:]
    expected = to_ai_message(whole)
    for name in ("content", "tool_calls", "usage_metadata", "response_metadata", "additional_kwargs"):
        assert getattr(added, name) == getattr(expected, name), name
    assert to_framework([added]) == [whole.message]


SIGNED = Message.assistant(
    ThinkingPart("hm", "s1", {"provider": "anthropic"}),
    TextPart("Let me look.", {"provider": "google", "signature": "s2"}),
    ThinkingPart("", "hidden", {"provider": "anthropic", "type": "redacted_thinking"}),
    ToolCall("c1", "add", {"a": 1}, '{"a": 1}', provider_data={"provider": "google", "signature": "s3"}),
)


@pytest.mark.parametrize("streamed", [False, True])
def test_signed_parts_come_back_as_they_were(streamed: bool) -> None:
    """What a provider signed comes back in its order with every signature, streamed or not, through JSON too."""
    response = InferenceResponse(SIGNED, "tool_calls", Usage(10, 5), "m")
    message: BaseMessage = to_ai_message(response)
    if streamed:
        pieces = [Chunk(thinking="hm"), Chunk(signature="s1"), Chunk("Let me look."), Chunk(response=response)]
        chunks = [chunk for chunk in map(to_ai_chunk, pieces) if chunk is not None]
        call = to_ai_chunk(Chunk(tool_call=ToolCallDelta(0, "c1", "add", '{"a": 1}')))
        assert call is not None
        message = chunks[0] + [*chunks[1:-1], call, chunks[-1]]
    (back,) = to_framework(messages_from_dict(messages_to_dict([message])))
    assert back.parts == SIGNED.parts
    assert [part.provider_data for part in back.parts] == [part.provider_data for part in SIGNED.parts]


def test_signatures_of_another_text_are_dropped() -> None:
    """Where the text of an answer was changed, its parts are read as they stand."""
    message = to_ai_message(InferenceResponse(SIGNED, "tool_calls", Usage(10, 5), "m"))
    (back,) = to_framework([message.model_copy(update={"content": "Something else."})])
    assert back.text == "Something else."
    assert [call.id for call in back.tool_calls] == ["c1"]
