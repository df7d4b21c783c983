"""Formulas on tensors, without a model, a recipe or a training: divergences, directions, shapes, similarity."""
