"""The table of what works on which backend says what the reports say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests

ROOT = Path(__file__).parents[2]
SUITE = "tests.integrations.langchain.test_standard_integration"
REPORT = f"""<testsuites><testsuite>
<testcase classname="{SUITE}.TestBundledModel" name="test_invoke"/>
<testcase classname="{SUITE}.TestBundledModel" name="test_stream[model0]"/>
<testcase classname="{SUITE}.TestBundledModel" name="test_astream[model0]"><skipped type="pytest.xfail"/></testcase>
<testcase classname="{SUITE}.TestBundledModel" name="test_tool_choice"><failure/></testcase>
<testcase classname="{SUITE}.TestBundledModel" name="test_audio_inputs"><skipped type="pytest.skip"/></testcase>
<testcase classname="{SUITE}.TestBundledModel" name="test_something_new"/>
<testcase classname="{SUITE}.TestBundledModel" name="test_no_overrides_DO_NOT_OVERRIDE"/>
<testcase classname="{SUITE}.TestOtherBackend" name="test_invoke"/>
<testcase classname="tests.integrations.llama_index.test_bundled_model" name="test_react_agent"/>
<testcase classname="tests.core.test_engine" name="test_invoke"><failure/></testcase>
</testsuite></testsuites>"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_support_table", ROOT / "docs" / "make_support_table.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_entry_is_what_the_tests_say(script: ModuleType, tmp_path: Path) -> None:
    """All passed is yes, some is a count, none is no, skipped is a dash; each suite's class is a column."""
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    lines = script.page(script.read([report])).splitlines()
    assert "| | native, bundled model | other backend |" in lines
    assert "| answers, also async and in batches | yes | yes |" in lines
    assert "| streaming | 1 of 2 | – |" in lines
    assert "| forced tool calls | no | – |" in lines
    assert "| sound | – | – |" in lines
    assert "| other | yes | – |" in lines
    assert "| `ReActAgent` | yes |" in lines


def test_what_is_no_report_is_an_error(script: ModuleType, tmp_path: Path) -> None:
    """A file that is no report is named, and a report without results writes nothing."""
    (tmp_path / "a.xml").write_text("no xml")
    with pytest.raises(ValueError, match=r"a\.xml"):
        script.read([tmp_path / "a.xml"])
    (tmp_path / "b.xml").write_text("<testsuites/>")
    assert script.main([str(tmp_path / "b.xml")]) == 1


def test_rows_name_tests_that_exist(script: ModuleType) -> None:
    """Every test of LangChain's suite has its row, and every row's tests are in the suite."""
    suite = {name for name in dir(ChatModelIntegrationTests) if name.startswith("test_")} - script.IGNORED
    named = {test for tests in script.LANGCHAIN.values() for test in tests}
    assert named - suite == set()
    ours = (ROOT / "tests" / "integrations" / "llama_index" / "test_bundled_model.py").read_text()
    assert all(f"def {test}(" in ours for tests in script.LLAMA_INDEX.values() for test in tests)


def test_the_page_is_made_by_the_script(script: ModuleType) -> None:
    """The page in the repository begins as the script writes it."""
    assert script.PAGE.read_text(encoding="utf-8").startswith(script.HEAD)
