"""llm-framework's models as LangChain chat models."""

from .chat_models import FrameworkChatModel

__all__ = ["FrameworkChatModel"]
