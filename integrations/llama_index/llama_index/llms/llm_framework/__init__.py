"""llm-framework's models as LlamaIndex LLMs."""

from llama_index.llms.llm_framework.base import FrameworkLLM

__all__ = ["FrameworkLLM"]
