"""Distillation and quantization of one's own modules and batches, without a recipe and without a store."""
