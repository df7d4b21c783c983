"""Weights alone in few bits: blocks of a row share a scale, activations stay float.

`formats` says what a block is and which layers get which; `quantizer` rounds a weight in training; `insertion` puts
quantizers into a model and finds them there; `moments` streams what layers take; `scales` and `gptq` round without
training; `start` keeps what answers most like the float model; `emission` writes what engines read.
"""
