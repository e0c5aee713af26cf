"""The names of the metrics that are measured, by what a model predicts."""

from __future__ import annotations

BINARY = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "selection_rate",
)
MULTICLASS = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "precision_macro",
    "recall_macro",
    "log_loss",
    "roc_auc_ovr",
)
REGRESSION = ("rmse", "mae", "r2", "median_ae", "max_error", "bias")
