"""Layers as products of smaller ones: which, at what rank, and what that costs in accuracy."""
