from __future__ import annotations

import numpy as np

from edgekd.bench.answers import judged


def test_fp32_must_agree_and_the_others_need_not() -> None:
    want = np.eye(10, dtype=np.float32)
    close, far = want + np.float32(5e-5), want + np.float32(2e-4)
    assert judged(0.9, close, want, "fp32", 1e-4).fault == ""
    assert judged(0.9, far, want, "fp32", 1e-4).fault == "failed: parity 2.0e-04 > 1e-04"
    assert judged(0.9, far, want, "bf16", 1e-4).fault == ""
    tied = np.zeros((10, 10), np.float32)
    tied[:, 3] = 1e-6
    turned = np.roll(tied, 1, axis=1)
    assert judged(0.9, turned, tied, "fp32", 1e-4).fault == "failed: top-1 agreement 0.0000 < 1"
    bf16 = judged(0.9, turned, tied, "bf16", 1e-4)
    assert bf16.fault == "" and bf16.agreement == 0
    assert judged(0.9, want[:, :9], want, "fp32", 1e-4).fault.startswith("failed: got (10, 9)")
