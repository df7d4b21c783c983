"""How one model's answers differ from another's, sample by sample: numpy alone, no engine.

`score_summary` serves every task. `calibration`, `fidelity` and `class_summary` need an output of class logits [N, C]
whose target is one class a sample; `gains` needs samples that are right or wrong.
"""
