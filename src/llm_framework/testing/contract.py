"""`check_backend`: the contract of `ModelBackend`, as tests that any backend can be put through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..backends.base import ModelBackend
from ..errors import LLMFrameworkError
from ..plugins.loading import say
from ..registry.model_info import ModelInfo
from . import checks
from .subject import Subject

PROMPT = "Count from one to twenty in words."
PATIENCE = 60.0


async def check_backend(
    backend_class: type[ModelBackend],
    model_info: ModelInfo,
    settings: Mapping[str, Any] | None = None,
    *,
    prompt: str = PROMPT,
    tools: bool = False,
    response_format: bool = False,
    failing_info: ModelInfo | None = None,
    failing_settings: Mapping[str, Any] | None = None,
    skip: Iterable[str] = (),
    patience: float = PATIENCE,
) -> None:
    """Raise `AssertionError` where a backend does not keep the contract of `ModelBackend`: one line for each check that
    failed, with its name and what is wrong.

    `prompt` has to be answered with a few words of text. `tools` and `response_format` say that the backend takes them;
    otherwise it has to refuse them with `UnsupportedFeatureError`, or to do what they ask. `failing_info` and
    `failing_settings` (a file that is not there, a port that nobody listens on) are used in place of the others for the
    check `errors`, which is left out where neither is given. `skip` leaves checks out by name; `patience`, in seconds,
    is the wait for any one thing. The names of the checks, and what each says a backend does, stand in `CHECKS`.

    Requests are small, but there are some forty of them: mind the bill where a provider answers.
    """
    skipped = frozenset(skip)
    if unknown := skipped - set(CHECKS):
        raise ValueError(f"no check is named {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    subject = Subject(backend_class, model_info, settings, prompt, tools, response_format, patience)
    subject.failing_info, subject.failing_settings = failing_info, failing_settings
    faults: list[str] = []
    try:
        for name, check in checks.ALL.items():
            if name in skipped:
                continue
            if (fault := await _fault_of(check, subject)) is not None:
                faults.append(f"{name}: {fault}")
                if name in checks.NEEDED:  # without it the others would all say the same
                    break
    finally:
        await subject.close()
    if faults:
        count = f"{len(faults)} of {len(CHECKS) - len(skipped)} checks"
        heading = f"{backend_class.__name__} breaks the contract of ModelBackend, {count}:"
        raise AssertionError("\n  ".join([heading, *faults]))


async def _fault_of(check: checks.Check, subject: Subject) -> str | None:
    try:
        await check(subject)
    except AssertionError as error:
        return str(error) or say(error)
    except LLMFrameworkError as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"an error that is no LLMFrameworkError came out: {say(error)}"
    return None


CHECKS: dict[str, str] = {name: " ".join((check.__doc__ or "").split()) for name, check in checks.ALL.items()}
"""The checks by name, in their order, each with the sentence that it holds a backend to."""
