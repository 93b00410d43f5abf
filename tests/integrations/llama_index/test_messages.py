"""LlamaIndex's messages and ours, both ways."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from llama_index.llms.llm_framework.messages import (
    StreamedResponse,
    to_chat_message,
    to_chat_response,
    to_framework,
    to_llama_index,
)
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

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

texts = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
images = st.builds(ImagePart, data=st.binary(min_size=1, max_size=8), media_type=st.just("image/png"))
urls = st.builds(ImagePart, url=names.map("https://example.org/{}.png".format), media_type=st.just("image/png"))
documents = st.builds(
    DocumentPart, data=st.binary(min_size=1, max_size=8), media_type=st.just("application/pdf"), name=names
)
user_parts = st.lists(st.builds(TextPart, texts) | images | urls | documents, min_size=1, max_size=4)
calls = st.builds(ToolCall.create, names, st.dictionaries(names, json_values, max_size=3), st.uuids().map(str))
broken_calls = st.builds(lambda id, name: ToolCall.from_raw(id, name, '{"a'), st.uuids().map(str), names)
results = st.builds(ToolResult, st.uuids().map(str), texts, names | st.none(), st.booleans())


@st.composite
def assistant_messages(draw: st.DrawFn) -> Message:
    parts = draw(st.lists(st.builds(ThinkingPart, texts, st.none() | names), max_size=1))
    parts += draw(st.lists(st.builds(TextPart, texts), max_size=1))
    return Message("assistant", (*parts, *draw(st.lists(calls, max_size=2)), *draw(st.lists(broken_calls, max_size=1))))


chats = st.lists(
    st.one_of(
        st.builds(lambda parts: Message("user", tuple(parts)), user_parts),
        st.builds(Message.system, texts),
        assistant_messages(),
        st.builds(Message.tool, results),
    ),
    max_size=6,
)


@given(chats)
def test_chats_come_back_as_they_went(chat: list[Message]) -> None:
    """Our messages survive the way to LlamaIndex and back, in any order of turns."""
    assert to_framework(to_llama_index(chat)) == chat


@given(chats)
def test_chats_survive_being_stored(chat: list[Message]) -> None:
    """A history that LlamaIndex wrote as JSON and read again means the same."""
    stored = [ChatMessage.model_validate_json(m.model_dump_json()) for m in to_llama_index(chat)]
    assert [m.text for m in to_framework(stored)] == [m.text for m in chat]
    assert [m.tool_calls for m in to_framework(stored)] == [m.tool_calls for m in chat]


def test_media(tmp_path: Path) -> None:
    """Images and documents are taken as bytes, base64, files and URLs, with the kind that LlamaIndex knows."""
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    blocks = [
        ImageBlock(image=PNG),
        ImageBlock(image=base64.b64encode(PNG)),
        ImageBlock(path=file),
        ImageBlock(url="https://a.b/c.png"),
        DocumentBlock(data=b"%PDF-1.4 x", document_mimetype="application/pdf", title="t"),
    ]
    kind = "image/png"
    assert to_framework([ChatMessage(role="user", blocks=blocks)])[0].parts == (
        ImagePart(PNG, media_type=kind),
        ImagePart(PNG, media_type=kind),
        ImagePart(path=file, media_type=kind),
        ImagePart(url="https://a.b/c.png", media_type=kind),
        DocumentPart(b"%PDF-1.4 x", media_type="application/pdf", name="t"),
    )


def test_unsupported_media() -> None:
    """Sound, and URLs that would read this machine's files, are refused by name."""
    with pytest.raises(UnsupportedFeatureError, match="audio"):
        to_framework([ChatMessage(role="user", blocks=[AudioBlock(audio=b"RIFF")])])
    with pytest.raises(InvalidRequestError, match="file:"):
        to_framework([ChatMessage(role="user", blocks=[ImageBlock(url="file:///etc/passwd")])])


def test_every_role() -> None:
    """Each of LlamaIndex's roles becomes one of our four."""
    roles = [to_framework([ChatMessage(role=role, content="x")])[0].role for role in MessageRole]
    assert roles == ["system", "system", "user", "assistant", "tool", "tool", "assistant", "assistant"]


def test_blocks_that_wrap_or_only_mark() -> None:
    """A citable block gives its content; a cache point gives nothing; thinking keeps its signature."""
    blocks = [
        CachePoint(cache_control={"type": "ephemeral"}),
        CitableBlock(title="t", source="s", content=[TextBlock(text="quoted")]),
        ThinkingBlock(content="hm", additional_information={"signature": "s"}),
    ]
    parts = to_framework([ChatMessage(role="assistant", blocks=blocks)])[0].parts
    assert parts == (TextPart("quoted"), ThinkingPart("hm", "s"))


def test_tool_history_in_both_forms() -> None:
    """Calls are read from blocks, else from the older additional_kwargs (dicts or the SDK's objects), never twice; a
    result gets the name of its call."""
    call = ToolCall.create("add", {"a": 1}, "c1")
    function = {"name": "add", "arguments": '{"a": 1}'}
    legacy = {"tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    sdk = {"tool_calls": [SimpleNamespace(id="c1", function=SimpleNamespace(**function))]}
    block = ToolCallBlock(tool_call_id="c1", tool_name="add", tool_kwargs={"a": 1})
    result = ChatMessage(role="tool", content="2", additional_kwargs={"tool_call_id": "c1"})
    for message in (
        ChatMessage(role="assistant", blocks=[block]),
        ChatMessage(role="assistant", blocks=[block], additional_kwargs=legacy),
        ChatMessage(role="assistant", additional_kwargs=legacy),
        ChatMessage(role="assistant", additional_kwargs=sdk),
    ):
        assert to_framework([message, result]) == [
            Message.assistant(call),
            Message.tool(ToolResult("c1", "2", "add")),
        ]


def test_a_whole_answer() -> None:
    """An answer has its text, its calls in both forms, and its usage in both places."""
    call = ToolCall.create("add", {"a": 1}, "c1")
    answer = InferenceResponse(Message.assistant("ok", call), "tool_calls", Usage(10, 5), "tiny-chat")
    response = to_chat_response(answer)
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert response.message.content == "ok"
    assert response.message.additional_kwargs["tool_calls"][0]["function"]["name"] == "add"
    assert response.message.blocks[-1] == ToolCallBlock(tool_call_id="c1", tool_name="add", tool_kwargs={"a": 1})
    assert response.additional_kwargs == usage
    assert response.raw["usage"] == usage
    assert response.raw["model"] == "tiny-chat"


def test_an_empty_answer_has_text() -> None:
    """The content of an answer without text and calls is "", not None, which agents cannot take."""
    assert to_chat_response(InferenceResponse()).message.content == ""


def test_pieces_accumulate() -> None:
    """Each piece holds the whole message so far; the last is the whole answer; empty pieces are left out."""
    calls = [ToolCall.create("add", {"a": 1}, "c1"), ToolCall.create("sub", {}, "c2")]
    whole = InferenceResponse(Message.assistant("ok", *calls), "tool_calls", Usage(10, 5), "tiny-chat")
    pieces = [
        Chunk(),
        Chunk("o"),
        Chunk("k"),
        Chunk(tool_call=ToolCallDelta(0, "c1", "add", '{"a"')),
        Chunk(tool_call=ToolCallDelta(0, arguments=": 1}")),
        Chunk(tool_call=ToolCallDelta(1, "c2", "sub", "{}")),
        Chunk(finish_reason="tool_calls", usage=whole.usage, response=whole),
    ]
    answer = StreamedResponse()
    responses = [r for r in map(answer.add, pieces) if r is not None]
    assert [r.message.content for r in responses] == ["o", *["ok"] * 5]
    assert "".join(r.delta or "" for r in responses) == "ok"
    assert [len(r.message.blocks) for r in responses] == [1, 1, 2, 2, 3, 3]
    assert responses[2].message.blocks[1].tool_kwargs == '{"a"'
    assert responses[-1].message == to_chat_response(whole).message
    assert [bool(r.raw) for r in responses] == [False] * 5 + [True]
    only_first = StreamedResponse(one_tool_call=True)
    last = [r for r in map(only_first.add, pieces) if r is not None][-1]
    assert [b.tool_name for b in last.message.blocks if isinstance(b, ToolCallBlock)] == ["add"]


def test_signed_parts_come_back_as_they_were() -> None:
    """What a provider signed comes back in its order with every signature, through JSON too."""
    signed = Message.assistant(
        ThinkingPart("hm", "s1", {"provider": "anthropic"}),
        TextPart("Let me look.", {"provider": "google", "signature": "s2"}),
        ToolCall("c1", "add", {"a": 1}, '{"a": 1}', provider_data={"provider": "google", "signature": "s3"}),
    )
    (back,) = to_framework([ChatMessage.model_validate_json(to_chat_message(signed).model_dump_json())])
    assert back.parts == signed.parts
    assert [part.provider_data for part in back.parts] == [part.provider_data for part in signed.parts]
