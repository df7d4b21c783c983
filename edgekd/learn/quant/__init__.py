"""Quantization with the teacher in the loop: where quantizers stand, how they start, how they learn.

`tracing` gives a model's operators; `folding` takes batch norms away; `operators` and `placement` say
where quantizers stand; `quantizer` is one; `insertion` puts them in; `calibration`, `equalization`
and `bias_correction` make the start; `sensitivity` says what each layer costs; `emit` writes Q/DQ.
"""
