"""Plugins: other people's backends and hooks, from named folders, entry points, or registered in code.

Finding them imports nothing. They are imported, each under a time limit, when the first model is asked for; whatever
one of them does wrong is reported (`list_plugins`), and the others go on without it.
"""

from __future__ import annotations

from .base import API_VERSION, BaseModelPlugin, PluginMetadata
from .manager import PluginManager
from .sources import GROUP
from .status import PluginState, PluginStatus

__all__ = [
    "API_VERSION",
    "GROUP",
    "BaseModelPlugin",
    "PluginManager",
    "PluginMetadata",
    "PluginState",
    "PluginStatus",
]
