"""Strokes of a digit: beside the grey levels, how much ink each row and column of the 8 by 8 picture holds."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

SIDE = 8
PARAMS = {
    "type": "object",
    "properties": {"ink": {"type": "number", "minimum": 0, "maximum": 16, "description": "what counts as ink"}},
    "additionalProperties": False,
}


def strokes(ctx: Any, *, ink: float = 4) -> Pipeline:
    """Return the transformer that custody fits on the training rows."""
    if len(ctx.features) != SIDE * SIDE:
        raise ValueError(f"expected {SIDE * SIDE} pixel columns, got {len(ctx.features)}")
    return make_pipeline(FunctionTransformer(add_strokes, kw_args={"ink": ink}), StandardScaler())


def add_strokes(pixels: np.ndarray, ink: float) -> np.ndarray:
    """Return the pixels with eight row counts and eight column counts of inked pixels behind them."""
    inked = (np.asarray(pixels, dtype=float) > ink).reshape(-1, SIDE, SIDE)
    return np.hstack([pixels, inked.sum(axis=2), inked.sum(axis=1)])
