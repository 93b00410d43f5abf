"""What a hub, the network and the disk answer instead of a file: as errors of ours that say what to do."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .. import secrets
from ..errors import (
    AuthenticationError,
    BadResponseError,
    ConfigurationError,
    ConnectionFailedError,
    LLMFrameworkError,
    MissingDependencyError,
    ModelLoadError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderUnavailableError,
    RateLimitError,
)
from ..logs import get_logger

logger = get_logger(__name__)

ATTEMPTS = 4  # without any progress between them
LONGEST_WAIT = 60.0  # seconds that a hub may ask us to wait; for longer, the caller decides
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of which hub, for the sentences."""

    repo: str
    revision: str | None
    file: str | None
    endpoint: str | None

    @property
    def hub(self) -> str:
        """The hub's address."""
        from huggingface_hub import constants

        return (self.endpoint or str(constants.ENDPOINT)).rstrip("/")

    @property
    def page(self) -> str:
        """Where a person reads about the model."""
        return f"{self.hub}/{self.repo}"


def require_hub() -> Any:
    """The package huggingface_hub. Raises `MissingDependencyError`, and `ConfigurationError` where it is told to stay
    offline."""
    try:
        import huggingface_hub
        from huggingface_hub import constants
    except ImportError as error:
        raise MissingDependencyError("downloading models", "hub") from error
    if constants.HF_HUB_OFFLINE:
        raise ConfigurationError(
            "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set, so nothing is downloaded; unset it, or copy the model's "
            "files into the models folder by hand"
        )
    token = huggingface_hub.get_token()
    if token:
        secrets.remember(token)
    return huggingface_hub


def patiently(action: Callable[[], Result], asked: Asked, progress: Callable[[], int] = lambda: 0) -> Result:
    """The action's result. What may pass is tried again, as long as there is `progress` (a number that grows) and a few
    times without. Raises typed errors."""
    attempt, reached = 1, progress()
    while True:
        try:
            return action()
        except Exception as raised:
            error = _explain(raised, asked)
            if error is None:
                raise
            if progress() > reached:
                attempt, reached = 1, progress()
            wait = max(0.25 * 2.0**attempt, error.retry_after or 0.0)
            if not error.retryable or attempt >= ATTEMPTS or wait > LONGEST_WAIT:
                # What is beneath may hold a signed address.
                raise error from None
            logger.info("%s; trying again in %.1f s", error, wait)
        attempt += 1
        time.sleep(wait)


def _explain(error: Exception, asked: Asked) -> LLMFrameworkError | None:
    """The error for what huggingface_hub raised; None for what is not its own."""
    from huggingface_hub import errors

    if isinstance(error, LLMFrameworkError):
        return error
    if isinstance(error, errors.GatedRepoError):
        return _gated(asked)
    if isinstance(error, errors.RepositoryNotFoundError):
        return _no_repository(asked)
    if isinstance(error, errors.RevisionNotFoundError):
        message = f"{asked.repo} has no revision {asked.revision!r}: it must be a branch, a tag or a commit listed at"
        return ModelNotFoundError(f"{message} {asked.page}/commits", model=asked.repo)
    if isinstance(error, errors.EntryNotFoundError):
        return ModelNotFoundError(f"{asked.repo} lists {asked.file}, but does not hold it", model=asked.repo)
    if isinstance(error, errors.DisabledRepoError):
        return PermissionDeniedError(f"{asked.repo} was disabled by the hub; {asked.page} says why")
    if isinstance(error, errors.HfHubHTTPError):
        return _of_status(error, asked)
    if isinstance(error, errors.HTTPError):
        return _connection(asked, f"{type(error).__name__}: {error}")
    if isinstance(error, OSError):
        return _connection(asked, "the answer ended early") if error.errno is None else None
    if isinstance(error, (ValueError, KeyError, TypeError)):
        message = f"{asked.hub} did not answer as a hub does ({type(error).__name__}); does HF_ENDPOINT point to one?"
        return BadResponseError(message, retryable=False)
    return None


def _gated(asked: Asked) -> LLMFrameworkError:
    from huggingface_hub import get_token

    if get_token() is None:
        return AuthenticationError(
            f"{asked.repo} is gated: accept its terms at {asked.page}, then {LOG_IN} (a token of the same account)"
        )
    return PermissionDeniedError(
        f"{asked.repo} is gated, and the account of your token has no access: accept its terms at {asked.page} (some "
        "owners must approve first; a fine-grained token needs the right to read gated repositories)"
    )


def _no_repository(asked: Asked) -> LLMFrameworkError:
    from huggingface_hub import get_token

    private = f"; if it is private, {LOG_IN}" if get_token() is None else ", or your token may not see it"
    return ModelNotFoundError(f"{asked.hub} has no repository {asked.repo}{private}", model=asked.repo)


def _of_status(error: Any, asked: Asked) -> LLMFrameworkError:
    status = int(error.response.status_code)
    what = f"{asked.file} of {asked.repo}" if asked.file else asked.repo
    if status == 401:
        message = f"{asked.hub} refuses your token: it is wrong or expired; {LOG_IN}, or remove it for public models"
        return AuthenticationError(message, status=status)
    if status == 404 and asked.file is None:
        return _no_repository(asked)
    if status == 403:
        return PermissionDeniedError(f"your token may not read {what}; {asked.page} says who may", status=status)
    if status == 429:
        wait = _retry_after(error.response)
        message = f"{asked.hub} takes no more requests from here for now" + (f" ({wait:.0f} s)" if wait else "")
        return RateLimitError(f"{message}; wait, or {LOG_IN}", status=status, retry_after=wait)
    if status >= 500:
        kept = ", what has come is kept" if asked.file else ""
        message = f"{asked.hub} answers {status} for {what}: try again later{kept}"
        return ProviderUnavailableError(message, status=status)
    return BadResponseError(f"{asked.hub} answers {status} for {what}", status=status, retryable=False)


def _retry_after(response: Any) -> float | None:
    try:
        return max(0.0, float(response.headers.get("Retry-After")))
    except (TypeError, ValueError):
        return None


def _connection(asked: Asked, reason: str) -> LLMFrameworkError:
    what = f" while {asked.file} came" if asked.file else ""
    kept = ". What has come is kept: the same command goes on from there" if asked.file else ""
    check = "check the network, the proxy and HF_ENDPOINT"
    return ConnectionFailedError(f"the connection to {asked.hub} failed{what} ({reason}); {check}{kept}")


@contextlib.contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """What the disk says, as errors that name the folder."""
    try:
        yield
    except OSError as error:
        if isinstance(error, LLMFrameworkError):  # a MissingDependencyError is an ImportError, a time limit an OSError
            raise
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk of {folder} is full ({reason}); what has come is kept: make room and run it again"
            raise ModelLoadError(message, path=str(folder)) from error
        message = f"nothing can be written into {folder} ({reason}); choose another folder (--to, or models_dir)"
        raise ConfigurationError(message) from error
