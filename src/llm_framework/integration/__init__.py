"""For programs written for the older agent classes: change the import, and they run on `LLMFramework`.

What is of the older interface says once, at the line that uses it, what to write instead (a `DeprecationWarning`).
"""

from __future__ import annotations

from .agent import AgentMode, FrameworkAgent, UnifiedGemmaAgent, create_gemma_agent
from .upgrade import LegacyAgentWrapper, upgrade_to_framework

__all__ = [
    "AgentMode",
    "FrameworkAgent",
    "LegacyAgentWrapper",
    "UnifiedGemmaAgent",
    "create_gemma_agent",
    "upgrade_to_framework",
]
