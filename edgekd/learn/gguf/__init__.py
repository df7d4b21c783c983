"""GGUF files, the form of llama.cpp: what they hold, and the transformers model that they are (ggml's docs/gguf.md)."""
