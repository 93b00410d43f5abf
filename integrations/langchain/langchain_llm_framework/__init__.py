"""llm-framework's models as LangChain chat models."""

from .chat_models import FrameworkChatModel
from .fallback import FallbackChatModel

__all__ = ["FallbackChatModel", "FrameworkChatModel"]
