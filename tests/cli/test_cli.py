"""The command line, run as a person runs it: as a process, in pipes and in a terminal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from command_line import COMMAND, TIMEOUT, run

import llm_framework


def test_version() -> None:
    """--version prints the package's version and nothing else."""
    assert run("--version").stdout == f"llm-framework {llm_framework.__version__}\n"


def test_generate_answers_on_standard_output() -> None:
    """generate prints the answer alone, and says nothing on standard error."""
    done = run("generate", "Hello", "--temperature", "0")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stdout.endswith("\n")
    assert done.stderr == ""


def test_prompt_from_standard_input() -> None:
    """A piped prompt gives the same answer as one in an argument, in generate and in chat."""
    expected = run("generate", "Hello", "-t", "0").stdout
    assert run("generate", "-t", "0", stdin="Hello\n").stdout == expected
    assert run("generate", "-", "-t", "0", stdin="Hello\n").stdout == expected
    assert run("chat", "-t", "0", stdin="Hello\n").stdout == expected


def test_piped_text_stands_above_the_prompt(tmp_path: Path) -> None:
    """What is piped in beside a prompt is asked about, from a pipe and from a file alike."""
    expected = run("generate", "Ben lives in Rome.\n\nWhere does Ben live?", "-t", "0").stdout
    assert run("generate", "Where does Ben live?", "-t", "0", stdin="Ben lives in Rome.\n").stdout == expected
    text = tmp_path / "text.txt"
    text.write_text("Ben lives in Rome.\n")
    with text.open() as file:
        done = subprocess.run(
            [*COMMAND, "generate", "Where does Ben live?", "-t", "0"],
            stdin=file,
            stdout=subprocess.PIPE,
            timeout=TIMEOUT,
            check=True,
        )
    assert done.stdout.decode() == expected


def test_prompts_of_a_loop_are_left_to_it(tmp_path: Path) -> None:
    """In a shell's loop over the lines of a file, each line is answered: the command does not swallow the others."""
    lines = tmp_path / "lines.txt"
    lines.write_text("Hello\nGood bye\nWho are you?\n")
    loop = 'while read -r line; do "$@" generate "$line" -n 3 --json; done'
    with lines.open() as file:
        done = subprocess.run(
            ["bash", "-c", loop, "loop", *COMMAND], stdin=file, stdout=subprocess.PIPE, timeout=3 * TIMEOUT, check=True
        )
    assert len(done.stdout.splitlines()) == 3


def test_a_pipe_that_says_nothing_is_not_waited_for() -> None:
    """A prompt is answered although the standard input is a pipe that nobody writes to or closes."""
    with subprocess.Popen(
        [*COMMAND, "generate", "Hello", "-n", "3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert b"asked alone" in process.stderr.read()


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii", "utf-8:surrogateescape"])
def test_bytes_that_are_no_text(encoding: str) -> None:
    """Piped bytes that are not of the terminal's encoding are answered as far as they can be read."""
    command = [*COMMAND, "generate", "-n", "3"]
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, input=b"caf\xe9 hello", capture_output=True, env=env, timeout=TIMEOUT, check=True)
    assert done.stdout.strip()


def test_without_a_standard_input() -> None:
    """A program that was started with a closed standard input answers its prompt, and says where one is missing."""

    def closed(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", "-c", '"$@" <&-', "closed", *COMMAND, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)

    assert closed("generate", "Hello", "-n", "3").stdout.strip()
    assert "no prompt" in closed("generate").stderr
    assert "the prompt is empty" in closed("chat").stderr


def test_seed_repeats_the_answer() -> None:
    """The same seed gives the same answer at a high temperature."""
    first, second = (
        run("generate", "Tell me something", "-t", "1.5", "--seed", "7", "-n", "12").stdout for _ in range(2)
    )
    assert first == second


def test_json_output() -> None:
    """--json prints the response as one JSON object with usage and finish reason."""
    answer = json.loads(run("generate", "Hello", "--json", "-t", "0").stdout)
    assert answer["model"] == "tiny-chat"
    assert answer["finish_reason"] in ("stop", "length")
    assert answer["usage"]["input_tokens"] > 0
    assert answer["usage"]["output_tokens"] > 0


def test_models_piped_are_plain_names() -> None:
    """Piped, the list of models is one name a line."""
    assert run("models").stdout.splitlines() == ["tiny-chat"]
    assert run("models", "list", "--local").stdout.splitlines() == ["tiny-chat"]


def test_models_info_and_json() -> None:
    """info shows what is known of a model, and --json the same for programs."""
    assert "native" in run("models", "info", "tiny-chat").stdout
    (found,) = json.loads(run("models", "list", "--json").stdout)
    assert found["name"] == "tiny-chat"
    assert found["backend"] == "native"


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (["generate", "Hello", "-m", "tiny-chatt"], "", ["tiny-chatt", "tiny-chat"]),
        (["generate", "", "-t", "0"], "", ["empty"]),
        (["generate"], "   ", ["empty"]),
        (["generate", "Hello", "-t", "nan"], "", ["temperature"]),
        (["generate", "Hello", "-n", "0"], "", ["max_tokens"]),
        (["generate", "word " * 5000], "", ["5009 tokens", "2048"]),
        (["generate", "Hello", "-m", "native:/nowhere/at/all"], "", ["/nowhere/at/all"]),
        (["generate", "Hello", "-c", "/nowhere/config.yaml"], "", ["/nowhere/config.yaml"]),
        (["generate", "Hello", "--schema", "/nowhere/schema.json"], "", ["/nowhere/schema.json"]),
        (["models", "info", "nothing"], "", ["nothing"]),
        (["models", "convert", "nothing", "/nowhere/m.sbs"], "", ["nothing"]),
        (["models", "convert", "tiny-chat", "/nowhere/m.sbs"], "", ["/nowhere/m.sbs", "cannot be written"]),
        (["models", "convert", "tiny-chat", "m.gguf"], "", ["m.gguf", ".sbs"]),
    ],
)
def test_errors_are_one_sentence(arguments: list[str], stdin: str, words: list[str]) -> None:
    """What fails says why on standard error, with exit code 1, and never shows a traceback."""
    done = run(*arguments, stdin=stdin)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_wrong_usage_exits_with_2() -> None:
    """An option that does not exist is wrong usage."""
    assert run("generate", "Hello", "--no-such-option").returncode == 2


def test_closed_pipe_is_silent() -> None:
    """A reader that goes away (`| head -c 1`) causes no complaint."""
    command = " ".join([*COMMAND, "generate", "Hello", "|", "head", "-c", "1"])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert len(done.stdout) == 1
    assert done.stderr == ""


def test_models_convert(tmp_path: Path) -> None:
    """A model is converted by its name, what is there already is not replaced unasked, and the result answers."""
    target = tmp_path / "tiny.sbs"
    done = run("models", "convert", "tiny-chat", str(target), "--weights", "sfp")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(target))
    again = run("models", "convert", str(target), str(target))
    assert again.returncode == 1
    assert "--force" in again.stderr
    answer = run("generate", "Hello", "-m", f"native:{target}", "-t", "0", "-n", "8")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()


def test_long_name_of_a_broken_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file in the models folder is shown as such by `models list` and hides no other."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text("{")
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    monkeypatch.setenv("LLM_FRAMEWORK_MODELS_DIR", str(tmp_path))
    found = {info["name"]: info for info in json.loads(run("models", "list", "--json").stdout)}
    assert "error" in found["broken"]
    assert "error" not in found["tiny-chat"]
