from __future__ import annotations

import logging
import sys
import warnings

import pytest

from edgekd.learn.export.silence import silence_exporter


def test_nothing_is_heard_and_errors_come_through(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError, match="mine"), silence_exporter():
        print("a")
        print("b", file=sys.stderr)
        logging.getLogger("torch").critical("c")
        warnings.warn("d", stacklevel=1)
        raise KeyError("mine")
    assert "".join(capfd.readouterr()) == ""


def test_afterwards_all_is_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    level = logging.root.manager.disable
    with silence_exporter():
        pass
    print("heard")
    assert capfd.readouterr().out == "heard\n" and logging.root.manager.disable == level
