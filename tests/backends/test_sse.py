"""Server-sent events: what the standard says of a stream, however its bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework import BadResponseError
from llm_framework.backends.protocols import sse
from llm_framework.backends.protocols.sse import ServerSentEvent, SSEDecoder


def decode(*pieces: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def data_of(text: str) -> list[str]:
    return [event.data for event in decode(text.encode())]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_line_ends(end: str) -> None:
    """LF, CR and CRLF all end a line, and an empty line ends an event."""
    assert data_of(f"data: a{end}data: b{end}{end}data: c{end}{end}") == ["a\nb", "c"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (": ping\n\ndata: x\n\n", ["x"]),  # a comment
        ("id: 1\nretry: 10\n\ndata: x\n\n", ["x"]),  # no data: no event
        ("event: ping\n\ndata: x\n\n", ["x"]),
        ("data\n\n", [""]),  # a field without a colon has an empty value
        ("data:\n\n", [""]),
        ("data:  x\n\n", [" x"]),  # one blank after the colon belongs to the syntax
        ("data:x:y\n\n", ["x:y"]),
        ("data: x\nunknown: y\n\n", ["x"]),
        ("data: x\n", []),  # cut off
        ("data: x", []),
        ("\ufeffdata: x\n\n", ["x"]),  # a byte order mark
        ("data: a\u2028b\u2029c\x85d\x0be\x0cf\n\n", ["a\u2028b\u2029c\x85d\x0be\x0cf"]),
    ],
)
def test_fields(text: str, expected: list[str]) -> None:
    """Comments, unknown fields and frames without data are no events; only CR and LF end lines."""
    assert data_of(text) == expected


def test_names_ids_and_retries() -> None:
    """An event carries its name, the last id given and its own retry."""
    events = decode(b"id: 7\nevent: add\nretry: 1500\ndata: x\n\ndata: y\n\nid: a\0b\nretry: 1x\ndata: z\n\n")
    assert events == [
        ServerSentEvent("x", "add", "7", 1500),
        ServerSentEvent("y", "message", "7"),
        ServerSentEvent("z", "message", "7"),
    ]


def test_bytes_that_are_no_utf8() -> None:
    """What is not valid UTF-8 becomes the replacement character, and the stream goes on."""
    assert [event.data for event in decode(b"data: a\xffb\n\ndata: c\n\n")] == ["a\ufffdb", "c"]


def reference(text: str) -> list[tuple[str, str, str]]:
    """The standard's algorithm, word for word, over the whole text."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    events, data, name, last_id = [], "", "", ""
    for line in text.split("\n")[:-1]:
        if not line:
            if data:
                events.append((data.removesuffix("\n"), name or "message", last_id))
            data, name = "", ""
            continue
        field, colon, value = line.partition(":")
        if colon and not field:
            continue
        value = value.removeprefix(" ")
        if field == "data":
            data += value + "\n"
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            last_id = value
    return events


LINES = st.one_of(
    st.sampled_from(["", "", ":", "data", "data:", "data: [DONE]", "id: 3", "event: e", "retry: 5", "\ufeff"]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8).map("data: {}".format),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8),
)


@settings(deadline=None)
@given(st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r", "\r\n"]))), st.data())
def test_any_cut_gives_the_same_events(lines: list[tuple[str, str]], data: st.DataObject) -> None:
    """Any stream, cut into pieces anywhere, in the middle of a character or a CRLF too, gives the events of the
    standard's own algorithm."""
    text = "".join(line + end for line, end in lines)
    content = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=12)))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    found = [(event.data, event.event, event.id) for event in decode(*pieces)]
    assert found == reference(text)
    assert [(event.data, event.event, event.id) for event in decode(*(bytes([byte]) for byte in content))] == found


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n" * 12, b"data: " + b"x" * 90 + b"\n", b"id: " + b"x" * 96])
def test_an_event_without_end(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that never ends is an error before it fills the memory."""
    monkeypatch.setattr(sse, "LONGEST_EVENT", 1000)
    with pytest.raises(BadResponseError, match="longer than") as caught:
        decode(*[piece] * 20)
    assert not caught.value.retryable


def test_a_long_stream_of_short_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is held counts: events and comments may come for ever."""
    monkeypatch.setattr(sse, "LONGEST_EVENT", 1000)
    decoder = SSEDecoder()
    for _ in range(100):
        assert len(decoder.feed(b": ping\n: pong\r\ndata: " + b"x" * 90 + b"\n\n" + b": more\n" * 20)) == 1
