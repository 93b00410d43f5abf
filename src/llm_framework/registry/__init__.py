"""The models that are there: what is known of each, how they are found, and how they are named."""

from .model_info import ModelInfo, ModelType, selected
from .registry import BUNDLED_MODEL, ModelRegistry, find_well_known

__all__ = ["BUNDLED_MODEL", "ModelInfo", "ModelRegistry", "ModelType", "find_well_known", "selected"]
