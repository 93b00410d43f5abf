"""Objects out of an answer's JSON: whole ones, and what can be seen of them while they are coming. Nothing here calls
a model."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms.utils import parse_partial_json
from llama_index.core.program.utils import create_flexible_model
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

# LlamaIndex's reader forgives more, such as line breaks within a string, but reads every character in Python; agents
# read a call at every streamed piece of it.
_MAX_FORGIVEN = 4096  # characters


def partial_json(text: str) -> Any:
    """The value as far as its JSON has come, strings too; None where nothing of it can be read."""
    try:
        return from_json(text, allow_partial="trailing-strings")
    except ValueError:
        pass
    try:
        return parse_partial_json(text) if len(text) <= _MAX_FORGIVEN else None
    except ValueError:
        return None


def whole_object(output_cls: type[BaseModel], response: ChatResponse) -> Any:
    """The instance of `output_cls` in a whole answer, which the framework has checked already."""
    return output_cls.model_validate_json(_json_of(response).removesuffix("```"))


class ComingObject:
    """An object whose JSON is coming: an instance of its class as soon as there is one, before that a lookalike whose
    missing fields are None. It never goes back: where a piece makes no sense yet, what was seen before stays."""

    def __init__(self, output_cls: type[BaseModel]) -> None:
        self._class = output_cls
        self._lookalike = create_flexible_model(output_cls)
        self._seen: Any = self._lookalike()

    def read(self, response: ChatResponse) -> Any:
        """The object after this response; after the last one, which alone has `raw`, a whole instance."""
        if response.raw is not None:
            return whole_object(self._class, response)
        data = partial_json(_json_of(response))
        if isinstance(data, dict):
            self._seen = self._from(data)
        return self._seen

    def _from(self, data: dict[str, Any]) -> Any:
        try:
            return self._class.model_validate(data)
        except ValidationError:
            return self._lookalike.model_validate(data)


def _json_of(response: ChatResponse) -> str:
    # Some models cannot be kept from wrapping JSON in a code block.
    text = (response.message.content or "").strip()
    return text.removeprefix("```json").removeprefix("```").strip()
