"""llm-framework's embedding models as LlamaIndex embeddings."""

from llama_index.embeddings.llm_framework.base import FrameworkEmbedding

__all__ = ["FrameworkEmbedding"]
