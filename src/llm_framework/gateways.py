"""Servers and gateways that speak OpenAI's Chat Completions, a row each: where they are, which variable holds the key,
and where they leave the protocol. Data only; `backends.openai_compatible` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

# Our name of a parameter -> the body's field: what the protocol itself has.
PROTOCOL: Mapping[str, str] = MappingProxyType(
    {
        "max_tokens": "max_tokens",
        "temperature": "temperature",
        "top_p": "top_p",
        "stop": "stop",
        "seed": "seed",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "logit_bias": "logit_bias",
        "logprobs": "logprobs",
        "thinking": "reasoning_effort",
    }
)

ThinkingStyle = Literal["effort", "openrouter", "template", "deepseek"]
"""How a server is told to think: `reasoning_effort`; OpenRouter's `reasoning` object; a variable of the chat template;
DeepSeek's switch."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One server or gateway.

    `parameters` adds to `PROTOCOL` what this one also takes, and maps to None what it refuses. `echo_thinking` is the
    field in which it wants its own reasoning back beside tool calls. `short_call_ids`: ids of tool calls must be nine
    letters or digits. `json_schema` False: it knows JSON, but no schemas. `object_schema`: it takes a schema beside
    `json_object` only. `regex_field`: where a pattern may stand. `any_tool`: how it is told to call a tool, None where
    it must be told which. `named_tool` False: nor can it be told that. `no_text`: what stands for the text of a message
    that calls tools and says nothing. `end_mark`: its streams are known to end with `[DONE]`; of others, one that gave
    a reason to finish counts as whole. `system_role` is its name for the role of instructions, `thinking_off` the
    effort that means none. `embedding_batch` is how many texts a request for embeddings may hold,
    `embedding_encoding` how vectors are asked for, `embedding_tasks` the fields that say whether they are of a "query"
    or of a "document"; `refuses_empty`: it makes no vector of an empty text.
    """

    name: str
    base_url: str | None = None
    key_variable: str | None = None
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    thinking: ThinkingStyle = "effort"
    echo_thinking: str | None = None
    any_tool: str | None = "required"
    named_tool: bool = True
    json_schema: bool = True
    object_schema: bool = False
    no_text: str | None = None
    regex_field: str | None = None
    stream_usage: bool = True
    short_call_ids: bool = False
    end_mark: bool = True
    system_role: str = "system"
    thinking_off: str = "none"
    embedding_batch: int = 32
    embedding_encoding: str | None = None
    embedding_tasks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refuses_empty: bool = False

    def field_of(self, parameter: str) -> str | None:
        """The body's field for one of our parameters, or None where this one has none."""
        return self.parameters.get(parameter, PROTOCOL.get(parameter))


_SAMPLING = {"top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repetition_penalty"}
_REPEAT = {"top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repeat_penalty"}
_ENDS = {"min_tokens": "min_tokens", "ignore_eos": "ignore_eos"}
_NO_LOGITS = {"logit_bias": None, "logprobs": None}

_ROWS = (
    # servers that people run themselves, at the port they use when not told otherwise
    Gateway(
        "vllm", "http://127.0.0.1:8000/v1", parameters={**_SAMPLING, **_ENDS}, thinking="template", regex_field="regex"
    ),
    Gateway("sglang", "http://127.0.0.1:30000/v1", parameters={**_SAMPLING, **_ENDS}, thinking="template"),
    Gateway(
        "llamacpp", "http://127.0.0.1:8080/v1", parameters={**_REPEAT, "ignore_eos": "ignore_eos"}, thinking="template"
    ),
    Gateway(  # its refusals and what it ignores: tests/backends/real
        "llama_cpp_python", "http://127.0.0.1:8000/v1", parameters=_REPEAT,
        any_tool=None, object_schema=True, no_text="",
    ),
    Gateway(  # takes every field of the protocol and ignores most
        "transformers_serve", "http://127.0.0.1:8000/v1", parameters={"presence_penalty": None, "logprobs": None},
        thinking="template", any_tool=None, named_tool=False, json_schema=False,
    ),
    Gateway("lmstudio", "http://127.0.0.1:1234/v1", parameters=_REPEAT),
    Gateway("ollama", "http://127.0.0.1:11434/v1", parameters=_NO_LOGITS),
    # gateways and providers
    Gateway("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", _SAMPLING, "openrouter", "reasoning"),
    Gateway("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", _NO_LOGITS),
    Gateway("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", _SAMPLING),
    Gateway(
        "deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", {"seed": None, "logit_bias": None},
        thinking="deepseek", echo_thinking="reasoning_content", json_schema=False,
    ),
    Gateway(
        "mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", {"seed": "random_seed", **_NO_LOGITS},
        any_tool="any", stream_usage=False, short_call_ids=True,
    ),
    Gateway("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", _SAMPLING),
    Gateway("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", _SAMPLING),
    Gateway("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", {"logit_bias": None}),
    Gateway(
        "nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY",
        embedding_tasks={"query": {"input_type": "query"}, "document": {"input_type": "passage"}},
    ),
    Gateway("xai", "https://api.x.ai/v1", "XAI_API_KEY", {"logit_bias": None}),
    Gateway("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN"),
)  # fmt: skip

GENERIC = Gateway("openai_compatible", end_mark=False)
"""A server of which nothing is known but that it speaks the protocol."""

OPENAI = Gateway(
    "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", {"max_tokens": "max_completion_tokens"},
    embedding_batch=2048, embedding_encoding="base64", refuses_empty=True,
)  # fmt: skip
"""OpenAI itself, which has a backend of its own; what its models refuse stands in `registry.openai_models`."""

GATEWAYS: Mapping[str, Gateway] = MappingProxyType({row.name: row for row in _ROWS})
"""By the name that stands before the colon: `groq:llama-3.3-70b-versatile`."""
