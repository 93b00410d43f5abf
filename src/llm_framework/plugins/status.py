"""What is said of a plugin: where it comes from, whether it can be used, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PluginState = Literal["found", "loaded", "broken", "slow", "incompatible", "missing dependency", "refused"]


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """One line of `list_plugins`.

    `source` is a file, an entry point's target or "code". `state`: "found" is not imported yet, "loaded" can be used;
    the others are skipped, for the reason in `error`: "broken" raised, "slow" passed the time limit, "incompatible" is
    no plugin or one for another version, "missing dependency" needs what is not installed, "refused" may be changed by
    other users. `serves` are the names that may stand before the colon of a model's name, as far as they are known;
    `hooks` those it has. `kind` is "backend" for a bare backend (entry-point group `llm_framework.backends`).
    """

    name: str
    source: str
    state: PluginState = "found"
    version: str = ""
    description: str = ""
    author: str = ""
    serves: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    error: str | None = None
    kind: Literal["plugin", "backend"] = "plugin"

    @property
    def loaded(self) -> bool:
        """Whether it can be used."""
        return self.state == "loaded"


class Fault(Exception):
    """Why a plugin is skipped."""

    def __init__(self, state: PluginState, reason: str) -> None:
        super().__init__(reason)
        self.state: PluginState = state
        self.reason = reason
