"""llm-framework's models as LangChain chat models."""

import logging

from .chat_models import FrameworkChatModel
from .fallback import FallbackChatModel

__all__ = ["FallbackChatModel", "FrameworkChatModel"]

logging.getLogger(__name__).addHandler(logging.NullHandler())
