"""A file of prompts: what is there is kept, what is not is asked, and nothing twice."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_framework import InferenceResponse, LLMFramework, errors
from llm_framework.jobs import JobSummary, generate_file, generate_file_sync, job
from llm_framework.jobs.records import response_as_dict
from llm_framework.testing import FakeBackend, Gate

PROMPTS = [f"prompt {number}" for number in range(1, 8)]


def asked(backend: FakeBackend) -> list[str]:
    return [request.messages[-1].text for request in backend.requests]


async def test_what_is_done_is_not_asked_again(
    framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """A second call asks nothing, and after lines were added to the input only those."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    await generate_file(framework, source, target)
    before = target.read_bytes()
    again = await generate_file(framework, source, target)
    assert (again.total, again.skipped, again.answered, again.done) == (7, 7, 0, 7)
    assert target.read_bytes() == before
    files.write(source, *PROMPTS, "prompt 8")
    more = await generate_file(framework, source, target)
    assert (more.skipped, more.answered) == (7, 1)
    assert sorted(asked(backend)) == sorted([*PROMPTS, "prompt 8"])
    assert sorted(files.read(target)) == list(range(1, 9))


@pytest.mark.parametrize("cut", [1, 2, 7, 30, 100])
async def test_a_half_written_line_is_cut(
    cut: int, framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """Wherever the last line broke off, it is finished or cut and asked again; each line has one record in the end."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    await generate_file(framework, source, target, max_concurrency=1)
    whole = target.read_bytes()
    target.write_bytes(whole[:-cut])
    backend.requests.clear()
    await generate_file(framework, source, target)
    assert asked(backend) == ([] if cut == 1 else ["prompt 7"])  # only the line end was missing
    assert sorted(files.read(target)) == list(range(1, 8))
    assert target.read_bytes()[: len(whole) - 200] == whole[: len(whole) - 200]


async def test_zero_bytes_at_the_end(framework: LLMFramework, files: Any, tmp_path: Path) -> None:
    """What a crash of the machine leaves at the end of a file, zero bytes, is cut."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    await generate_file(framework, source, target)
    target.write_bytes(target.read_bytes()[:-50] + bytes(4096))
    await generate_file(framework, source, target)
    assert sorted(files.read(target)) == list(range(1, 8))


@pytest.mark.parametrize(
    "content", [b"my notes", b"my notes\n", b'{"a": 1}\n', b'{"line": 1, "text": "x"}\n', b"[1]\n"]
)
async def test_another_kind_of_file_is_left_alone(
    content: bytes, framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """A file that holds something else is not written to, and the error names it."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "notes.txt"
    target.write_bytes(content)
    with pytest.raises(errors.InvalidRequestError, match=r"notes\.txt.*another file"):
        await generate_file(framework, source, target)
    assert target.read_bytes() == content
    assert backend.requests == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["changed", *PROMPTS[1:]], "line 1 of"),
        ([*PROMPTS[:5], PROMPTS[6], PROMPTS[5]], "line 6 of"),
        (PROMPTS[:-1], "fewer lines"),
    ],
)
async def test_a_changed_input_is_noticed(
    lines: list[str], words: str, framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """An input that is not the one that was answered is an error that says where, before anything is asked."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    await generate_file(framework, source, target)
    files.write(source, *lines, "new") if words != "fewer lines" else files.write(source, *lines)
    backend.requests.clear()
    with pytest.raises(errors.InvalidRequestError, match=words):
        await generate_file(framework, source, target)
    assert backend.requests == []
    assert sorted(files.read(target)) == list(range(1, 8))


async def test_errors_stand_in_their_lines_and_are_tried_again_on_demand(
    framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """A failed line has its error's name, text and whether trying again may help; `retry_errors` asks such lines only,
    and keeps the file's permissions."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    broken = errors.ProviderUnavailableError("down for a moment", status=503)
    backend.answers = ["fine", broken, "fine", ValueError("a bug"), "fine", "fine", "fine"]
    first = await generate_file(framework, source, target, max_concurrency=1)
    assert (first.answered, first.failed, first.all_failed) == (5, 2, 2)
    found = files.read(target)
    assert found[2]["error"] == {
        "type": "ProviderUnavailableError", "message": "down for a moment", "retryable": True, "status": 503,
    }  # fmt: skip
    assert "a bug" in found[4]["error"]["message"]
    target.chmod(0o640)
    backend.answers = ["better"]
    backend.requests.clear()
    left = await generate_file(framework, source, target)
    assert (left.answered, left.failed_before, left.all_failed) == (0, 2, 2)
    again = await generate_file(framework, source, target, retry_errors=True)
    assert (again.skipped, again.answered, again.all_failed) == (5, 2, 0)
    assert asked(backend) == ["prompt 2", "prompt 4"]
    assert [files.read(target)[number]["text"] for number in range(1, 8)] == [
        "fine", "better", "fine", "better", "fine", "fine", "fine",
    ]  # fmt: skip
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


async def test_a_link_stays_a_link(framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path) -> None:
    """Where the output is a link, the file behind it is gone on with, also when errors are taken out of it."""
    source, link = files.write(tmp_path / "in", "a"), tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    backend.answers = [errors.BadResponseError("nonsense"), "fine"]
    await generate_file(framework, source, link)
    await generate_file(framework, source, link, retry_errors=True)
    assert link.is_symlink()
    assert files.read(tmp_path / "real")[1]["text"] == "fine"


@pytest.mark.parametrize("kind", [errors.AuthenticationError, errors.QuotaExceededError, errors.ModelLoadError])
async def test_what_every_line_would_meet_ends_the_job(
    kind: type[errors.LLMFrameworkError], framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """A wrong key, a spent quota, a model that cannot be loaded are raised, and no line is taken for answered."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    backend.answers = ["fine", kind("not today")]
    with pytest.raises(kind, match="not today"):
        await generate_file(framework, source, target, max_concurrency=1)
    assert list(files.read(target)) == [1]
    backend.answers = ["fine"]
    await generate_file(framework, source, target)
    assert sorted(files.read(target)) == list(range(1, 8))


async def test_an_unknown_model_ends_the_job_before_it_begins(
    framework: LLMFramework, files: Any, tmp_path: Path
) -> None:
    """A model that the call names and nobody knows is raised; so is a wrong option, before the output is made."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    with pytest.raises(errors.InvalidRequestError, match="temperature"):
        await generate_file(framework, source, target, temperature=-1)
    with pytest.raises(errors.InvalidRequestError, match="input format"):
        await generate_file(framework, source, target, input_format="csv")
    assert not target.exists()
    with pytest.raises(errors.ModelNotFoundError):
        await generate_file(framework, source, target, model_name="nobody")
    assert target.read_bytes() == b""


async def test_a_provider_that_is_down_ends_the_job(
    framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many errors in a row that pass by themselves, the job ends instead of writing them for all lines."""
    monkeypatch.setattr(job, "_FAILURES_IN_A_ROW", 3)
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    backend.answers = [errors.ProviderUnavailableError("down")]
    with pytest.raises(errors.ProviderUnavailableError, match="down"):
        await generate_file(framework, source, target, max_concurrency=1)
    assert len(files.read(target)) == 3


async def test_only_so_many_are_under_way(
    framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """`max_concurrency` lines are asked at a time, and progress is told after each; 0 is an error."""
    source = files.write(tmp_path / "in", *PROMPTS)
    seen: list[int] = []
    await generate_file(
        framework, source, tmp_path / "out", max_concurrency=3, on_progress=lambda summary: seen.append(summary.done)
    )
    assert backend.peak == 3
    assert seen == list(range(8))
    with pytest.raises(errors.InvalidRequestError, match="max_concurrency"):
        await generate_file(framework, source, tmp_path / "other", max_concurrency=0)


async def test_a_cancelled_job_keeps_what_is_done(
    framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path
) -> None:
    """Cancelling stops what is under way, writes nothing for it, and lets go of the file at once."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    gate = Gate()
    backend.answers = ["fine", ["half", gate]]
    running = asyncio.ensure_future(generate_file(framework, source, target, max_concurrency=1))
    await gate.reached()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert list(files.read(target)) == [1]
    assert backend.active == 0
    backend.answers = ["fine"]
    done = await generate_file(framework, source, target)
    assert (done.skipped, done.answered) == (1, 6)


async def test_one_writer_at_a_time(framework: LLMFramework, backend: FakeBackend, files: Any, tmp_path: Path) -> None:
    """A second job on the same output, here or in another process, is an error that says so; the first goes on."""
    source, target = files.write(tmp_path / "in", *PROMPTS), tmp_path / "out"
    gate = Gate()
    backend.answers = [[gate, "fine"]]
    running = asyncio.ensure_future(generate_file(framework, source, target))
    await gate.reached()
    with pytest.raises(errors.InvalidRequestError, match="another process is writing"):
        await generate_file(framework, source, target)
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, target, stderr=subprocess.DEVNULL)
    assert await other.wait() == 1
    gate.open()
    assert (await running).answered == 7
    assert (await generate_file(framework, source, target)).skipped == 7


async def test_input_and_output_must_differ(framework: LLMFramework, files: Any, tmp_path: Path) -> None:
    """One file for both, a folder, and a folder that is not there are errors; the input stays as it is."""
    source = files.write(tmp_path / "in", *PROMPTS)
    before = source.read_bytes()
    with pytest.raises(errors.InvalidRequestError):
        await generate_file(framework, source, source)
    with pytest.raises(errors.InvalidRequestError, match="cannot be written"):
        await generate_file(framework, source, tmp_path)
    with pytest.raises(errors.InvalidRequestError, match="cannot be written"):
        await generate_file(framework, source, tmp_path / "nowhere" / "out")
    assert source.read_bytes() == before
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    with pytest.raises(errors.InvalidRequestError, match="as input and as output"):
        await generate_file(framework, empty, empty)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
async def test_a_full_disk_is_said(framework: LLMFramework, files: Any, tmp_path: Path) -> None:
    """Where the output cannot be written, the job ends with the reason."""
    source = files.write(tmp_path / "in", *PROMPTS)
    with pytest.raises(errors.LLMFrameworkError, match=r"/dev/full cannot be written: No space left"):
        await generate_file(framework, source, "/dev/full")


async def test_odd_text_survives(framework: LLMFramework, backend: FakeBackend, tmp_path: Path) -> None:
    """Line ends, separators and half surrogates in ids and answers stay inside one line, which is UTF-8 JSON."""
    backend.answers = ["a\u2028b\nc\r\u0085d é 日"]
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b'{"prompt": "x", "id": "\\ud800\\n"}\n')
    await generate_file(framework, source, target)
    (line,) = target.read_bytes().decode("utf-8").split("\n")[:-1]
    record = json.loads(line)
    assert record["id"] == "\ud800\n"
    assert "日" in record["text"]


def test_blocking_form(files: Any, tmp_path: Path) -> None:
    """`generate_file_sync` does the same, and its summary can be pickled."""
    source = files.write(tmp_path / "in", {"prompt": "Hello", "max_tokens": 3}, {"prompt": "Hi", "max_tokens": 3})
    with LLMFramework({"auto_discover_models": False}) as framework:
        summary = generate_file_sync(framework, source, tmp_path / "out", temperature=0)
    assert pickle.loads(pickle.dumps(summary)) == summary
    assert isinstance(summary, JobSummary)
    assert (summary.answered, summary.output_tokens) == (2, 6)


async def test_a_line_has_time(backend: FakeBackend, files: Any, tmp_path: Path) -> None:
    """A line has a day, unless the line, the call or the configuration says otherwise."""
    lines = ["first", {"prompt": "second", "timeout": 5}]
    for number, (settings, options, expected) in enumerate(
        [({}, {}, [86400.0, 5]), ({}, {"timeout": 7}, [7, 5]), ({"default_timeout": 9}, {}, [None, 5])]
    ):
        backend.requests.clear()
        async with LLMFramework({"auto_discover_models": False, "default_model": "m", **settings}) as framework:
            backend.install(framework)
            source = files.write(tmp_path / f"in{number}", *lines)
            await generate_file(framework, source, tmp_path / f"out{number}", max_concurrency=1, **options)
        assert [request.timeout for request in backend.requests] == expected


async def test_more_at_a_time_than_may_wait(backend: FakeBackend, files: Any, tmp_path: Path) -> None:
    """However many lines a call wants under way, none is refused because the queue is full."""
    settings = {"auto_discover_models": False, "default_model": "m", "max_queue": 3, "max_concurrent_requests": 2}
    source = files.write(tmp_path / "in", *[f"prompt {number}" for number in range(40)])
    async with LLMFramework(settings) as framework:
        backend.install(framework)
        summary = await generate_file(framework, source, tmp_path / "out", max_concurrency=30)
    assert (summary.answered, summary.failed) == (40, 0)


def test_parameters_left_out_are_named() -> None:
    """A result says which parameters its model could not take, where there were any."""
    assert response_as_dict(InferenceResponse(dropped_parameters=("top_k",)))["dropped_parameters"] == ["top_k"]
    assert "dropped_parameters" not in response_as_dict(InferenceResponse())
