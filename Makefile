# make chat                 set up, build, and talk to the bundled model
# make chat PROMPT="Hello"  one answer on standard output (also: echo Hello | make -s chat)
# make test                 set up all that the tests need, and run them against the built wheel
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
# One test process a core; PYTEST_ARGS="-x tests/core" runs other things.
PYTEST_ARGS ?= -n auto
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
SOURCES := pyproject.toml CMakeLists.txt $(shell find src/llm_framework cpp integrations -type f \
  -not -name '*.pyc' -not -name '*.so' 2>/dev/null | sed 's/ /\\ /g')
# Set-up talks on standard error, so that standard output holds the answer alone.
SAY := >&2 echo

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -3; echo; echo "also: test-servers, test-gateways, test-sdks, lint, format, model, model-eval, bench, soak, sanitize, long-test, clean"

$(BIN)/python:
	@test -n "$(PYTHON)" || { $(SAY) "Python 3.10 or newer is needed, and none was found: make chat PYTHON=/path/to/python3"; exit 1; }
	@$(SAY) "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) >&2 || { rm -rf $(VENV); $(SAY) "'$(PYTHON) -m venv' failed: install Python's venv module (Debian: python3-venv), or name another Python: make chat PYTHON=..."; exit 1; }
	@$(PIP) install --upgrade pip >&2

$(VENV)/.wheel: $(SOURCES) | $(BIN)/python
	@$(SAY) "Building the engine and the package (a minute or two) ..."
	@rm -rf dist && $(PIP) wheel --no-deps --wheel-dir dist . >&2
	@touch $@

$(VENV)/.core: $(VENV)/.wheel
	@$(SAY) "Installing ..."
	@$(PIP) install --force-reinstall --no-deps dist/llm_framework-*.whl >&2
	@$(PIP) install "$$(ls dist/llm_framework-*.whl)" >&2
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@$(SAY) "Installing what the tests need ..."
	@$(PIP) install "$$(ls dist/llm_framework-*.whl)[test]" >&2
	@touch $@

ifdef PROMPT
export PROMPT
chat: $(VENV)/.core
	@$(BIN)/llm-framework generate -- "$$PROMPT" </dev/null
else
chat: $(VENV)/.core
	@$(BIN)/llm-framework chat
endif

# The tests import the installed wheel, never src/: they run with the repository's packages out of the import path.
test: $(VENV)/.test
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# The OpenAI-compatible backend against servers of other makers, which are installed first: llama-cpp-python is compiled,
# which takes minutes.
$(VENV)/.test-servers: $(VENV)/.test
	@$(SAY) "Installing the servers, one of which is compiled ..."
	@CMAKE_BUILD_PARALLEL_LEVEL=$${CMAKE_BUILD_PARALLEL_LEVEL:-2} \
	  $(PIP) install "$$(ls dist/llm_framework-*.whl)[test-servers]" >&2
	@touch $@

test-servers: $(VENV)/.test-servers
	@$(BIN)/python -m pytest tests/backends/real

# The backends for OpenAI, Anthropic and Google against the LiteLLM proxy. It has an environment of its own: resolved
# together with today's SDKs it would silently become a version of long ago.
build/litellm-env/.done: $(VENV)/.test
	@$(SAY) "Installing the LiteLLM proxy into build/litellm-env ..."
	@rm -rf build/litellm-env && $(BIN)/python -m venv build/litellm-env >&2
	@build/litellm-env/bin/python -m pip --disable-pip-version-check -qq install "litellm[proxy]>=1.100" >&2
	@touch $@

test-gateways: $(VENV)/.test build/litellm-env/.done
	@$(BIN)/python -m pytest tests/backends/real/test_litellm_proxy.py

# The same backends' tests with the lowest and the newest versions of the three SDKs that pyproject.toml allows.
SDK_TESTS := $(filter-out %_compatible.py,$(wildcard tests/backends/test_openai*.py tests/backends/test_anthropic*.py tests/backends/test_google*.py))
build/sdks-%/.done: tests/sdks/%.txt $(VENV)/.wheel
	@$(SAY) "Installing the $* SDKs into build/sdks-$* ..."
	@rm -rf build/sdks-$* && $(BIN)/python -m venv build/sdks-$* >&2
	@build/sdks-$*/bin/python -m pip --disable-pip-version-check -qq install -c tests/sdks/$*.txt \
	  -r tests/sdks/tools.txt "$$(ls dist/llm_framework-*.whl)[openai,anthropic,google,langchain]" >&2
	@touch $@

test-sdks: build/sdks-lowest/.done build/sdks-newest/.done
	@for kind in lowest newest; do \
	  build/sdks-$$kind/bin/python -m pip --disable-pip-version-check list 2>/dev/null \
	    | grep -iE '^(openai|anthropic|google-genai|httpx2?) ' ; \
	  build/sdks-$$kind/bin/python -m pytest $(SDK_TESTS); done

lint: $(VENV)/.test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy -p llm_framework -p langchain_llm_framework -p llama_index.llms.llm_framework -p llama_index.embeddings.llm_framework

format: $(VENV)/.test
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# The bundled model, from nothing: tokenizer, training (about two hours on 4 cores), the folder that ships; then its figures.
RUN ?= src/bundled_model/runs/main
model: $(VENV)/.test
	PYTHONPATH=src $(BIN)/python -m bundled_model tokenizer $(RUN)
	PYTHONPATH=src $(BIN)/python -m bundled_model train $(RUN)
	PYTHONPATH=src $(BIN)/python -m bundled_model export $(RUN) --check

model-eval: $(VENV)/.test
	PYTHONPATH=src $(BIN)/python -m bundled_model evaluate $(RUN)

bench: $(VENV)/.test
	$(BIN)/python benchmarks/native.py

# 20,000 short requests to the bundled model, a third of them cancelled: memory stays flat, nothing is left behind.
soak: $(VENV)/.test
	LLM_FRAMEWORK_SOAK=20000 $(BIN)/python -m pytest -s tests/native/test_soak.py

# The C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer, then under ThreadSanitizer.
sanitize: $(VENV)/.test
	@for kind in "address;undefined" thread; do dir=build/sanitize-$${kind%%;*}; \
	  PATH="$$PWD/$(BIN):$$PATH" cmake -S . -B $$dir -G Ninja -DLLMFW_BUILD_TESTS=ON -DLLMFW_BUILD_MODULE=OFF -DLLMFW_SANITIZE="$$kind" >/dev/null; \
	  PATH="$$PWD/$(BIN):$$PATH" cmake --build $$dir; (cd $$dir && PATH="$$OLDPWD/$(BIN):$$PATH" ctest --output-on-failure); done

clean:
	rm -rf $(VENV) build dist

.PHONY: help chat test test-servers test-gateways test-sdks lint format model model-eval bench soak sanitize clean
