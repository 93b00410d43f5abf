"""llm-framework's models as LangChain chat models and embeddings."""

import logging

from .chat_models import FrameworkChatModel
from .embeddings import FrameworkEmbeddings
from .fallback import FallbackChatModel

__all__ = ["FallbackChatModel", "FrameworkChatModel", "FrameworkEmbeddings"]

logging.getLogger(__name__).addHandler(logging.NullHandler())
