"""Writes docs/support.md, what works on which backend, from reports of the standard suites. Nothing is written by hand.

    pytest tests/integrations -k "standard_integration or bundled_model" --junitxml=report.xml
    python docs/make_support_table.py report.xml

Several reports may be given: those of a machine with an accelerator or a server add their columns.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parent / "support.md"

HEAD = """\
# What works on which backend

Made by [`make_support_table.py`](make_support_table.py) from the results of the suites named below; an entry is what
the tests say and nothing else. "yes": all tests of the row pass. "3 of 4": that many do, the others are known failures
that the suite names. "–": not tried, because the model lacks the ability (sight, hearing) or the suite has no such
case.
"""

# Rows, in order: what it is, and the tests that try it. A test that stands nowhere lands in the row "other".
LANGCHAIN: dict[str, tuple[str, ...]] = {
    "answers, also async and in batches": ("test_invoke", "test_ainvoke", "test_batch", "test_abatch"),
    "conversations": ("test_conversation", "test_double_messages_conversation", "test_message_with_name"),
    "streaming": ("test_stream", "test_astream"),
    "event streams (v3)": ("test_stream_events_v3", "test_astream_events_v3"),
    "another model in a call": tuple(
        f"test_{form}_with_model_override" for form in ("invoke", "ainvoke", "stream", "astream")
    ),
    "usage": ("test_usage_metadata", "test_usage_metadata_streaming"),
    "stop texts": ("test_stop_sequence",),
    "tool calls": (
        "test_tool_calling", "test_tool_calling_async", "test_tool_calling_with_no_arguments",
        "test_unicode_tool_call_integration", "test_bind_runnables_as_tools",
    ),
    "forced tool calls": ("test_tool_choice",),
    "tool results in the history": (
        "test_tool_message_histories_string_content", "test_tool_message_histories_list_content",
        "test_tool_message_error_status", "test_structured_few_shot_examples",
    ),
    "agent loop": ("test_agent_loop",),
    "structured output": (
        "test_structured_output", "test_structured_output_async", "test_structured_output_pydantic_2_v1",
        "test_structured_output_optional_param",
    ),
    "JSON mode": ("test_json_mode",),
    "Anthropic's message shapes": ("test_anthropic_inputs",),
    "images": ("test_image_inputs", "test_image_tool_message"),
    "documents (PDF)": ("test_pdf_inputs", "test_pdf_tool_message"),
    "sound": ("test_audio_inputs",),
}  # fmt: skip
LLAMA_INDEX: dict[str, tuple[str, ...]] = {
    "all eight ways to ask": ("test_all_forms_agree", "test_completions"),
    "metadata": ("test_metadata_is_the_models",),
    "limits and stop texts": ("test_max_tokens_and_stop",),
    "structured prediction": ("test_structured_predict",),
    "`FunctionAgent`": ("test_function_agent",),
    "`ReActAgent`": ("test_react_agent",),
    "`CodeActAgent`": ("test_code_act_agent_runs",),
    "`AgentWorkflow`": ("test_agent_workflow",),
    "query engines": ("test_query_engine_runs", "test_summary_index", "test_keyword_table"),
    "query engines with `output_cls`": ("test_query_engine_with_a_form",),
    "documents longer than the context": ("test_long_documents_fit", "test_the_tokenizer_travels"),
    "chat engines": ("test_chat_engines",),
    "user grammars": ("test_an_answer_keeps_to_a_grammar",),
    "cancelling": ("test_closing_a_stream_stops_the_engine",),
    "pickling": ("test_pickled_llm_answers_the_same",),
}
# Not abilities of a backend.
IGNORED = frozenset(("test_no_overrides_DO_NOT_OVERRIDE", "test_stream_time"))


class Suite(NamedTuple):
    """One table: its title, the modules whose results it shows, and its rows."""

    title: str
    modules: re.Pattern[str]
    rows: dict[str, tuple[str, ...]]


SUITES = (
    Suite(
        "LangChain: `langchain_tests`' integration suite on `FrameworkChatModel`",
        re.compile(r"\blangchain\.test_standard_(?!unit)\w+$"),
        LANGCHAIN,
    ),
    Suite(
        "LlamaIndex: agents and engines on `FrameworkLLM`",
        re.compile(r"\bllama_index\.test_(bundled_model|standard_\w+)$"),
        LLAMA_INDEX,
    ),
)
# The columns of the suites' classes, or of modules without one; others are called after their names.
COLUMNS = {
    "TestBundledModel": "native, bundled model",
    "TestTransformers": "Transformers, bundled model",
    "test_bundled_model": "native, bundled model",
    "TestOpenAICompatible": "OpenAI-compatible",
}


class Case(NamedTuple):
    """One test's result in one suite."""

    suite: Suite
    column: str
    test: str
    result: str  # "passed", "failed" (known failures too) or "skipped"


def read(reports: Iterable[Path]) -> list[Case]:
    """The results of the suites' tests in JUnit reports; tests of other modules are passed over.

    Raises `ValueError` where a file is no JUnit report.
    """
    cases: list[Case] = []
    for report in reports:
        try:
            root = ElementTree.parse(report).getroot()
        except ElementTree.ParseError as error:
            raise ValueError(f"{report} is no JUnit report: {error}") from error
        cases.extend(case for node in root.iter("testcase") if (case := _case(node)) is not None)
    return cases


def _case(node: ElementTree.Element) -> Case | None:
    path = node.get("classname", "").split(".")
    test = node.get("name", "").split("[")[0]
    name = path.pop() if path[-1].startswith("Test") else path[-1]
    suite = next((suite for suite in SUITES if suite.modules.search(".".join(path))), None)
    if suite is None or test in IGNORED:
        return None
    return Case(suite, COLUMNS.get(name, _words(name)), test, _result(node))


def _words(name: str) -> str:
    """ "TestTransformersBackend" as "transformers backend", for a suite that has no entry in COLUMNS."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", re.sub(r"^[Tt]est_?", "", name)).lower()


def _result(node: ElementTree.Element) -> str:
    if node.find("failure") is not None or node.find("error") is not None:
        return "failed"
    skipped = node.find("skipped")
    if skipped is None:
        return "passed"
    return "failed" if skipped.get("type") == "pytest.xfail" else "skipped"


def page(cases: Sequence[Case]) -> str:
    """The page: a table for each suite that has results, a column for each backend."""
    tables = [(suite, [case for case in cases if case.suite is suite]) for suite in SUITES]
    return "\n".join([HEAD, *(_table(suite, results) for suite, results in tables if results)])


def _table(suite: Suite, cases: list[Case]) -> str:
    columns = list(dict.fromkeys(case.column for case in cases))
    known = {test for tests in suite.rows.values() for test in tests}
    others = tuple(dict.fromkeys(case.test for case in cases if case.test not in known))
    rows = {**suite.rows, "other": others} if others else suite.rows
    lines = [f"## {suite.title}\n", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for feature, tests in rows.items():
        cells = [_cell([c.result for c in cases if c.column == column and c.test in tests]) for column in columns]
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(results: list[str]) -> str:
    tried = [result for result in results if result != "skipped"]
    passed = tried.count("passed")
    if not tried:
        return "–"
    if passed == len(tried):
        return "yes"
    return f"{passed} of {len(tried)}" if passed else "no"


def main(arguments: list[str]) -> int:
    """Writes the page from the reports named in the arguments; 1 where they hold no result of a suite."""
    cases = read(Path(argument) for argument in arguments)
    if not cases:
        print(__doc__, file=sys.stderr)
        return 1
    PAGE.write_text(page(cases), encoding="utf-8")
    print(f"{PAGE}: {len(cases)} results")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
