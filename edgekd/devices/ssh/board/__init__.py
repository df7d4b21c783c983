"""What runs on the device and speaks with the controller: one order after another over one link.

    controller            device
    order                 waiting*, need*, started*, ended (and its bytes); or busy, refused
    a file's bytes        to each need
    done                  forgets the job
    abandon               abandoned: the job is ended and forgotten
    probe                 probe

A frame is a line of JSON; bytes follow where their number was said. The controller says nothing while it
waits, so whatever comes then means that it is gone.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from edgekd.devices.ssh.board import home
from edgekd.devices.ssh.board import jobs
from edgekd.devices.ssh.board import keeper
from edgekd.devices.ssh.board import lease
from edgekd.devices.ssh.board import probe
from edgekd.devices.ssh.board.pipe import ControllerGone
from edgekd.devices.ssh.board.pipe import Pipe
from edgekd.errors import EdgekdError

IDLE_S = 20.0
"""Without an order for so long, the device is free for others; the link stays."""
TELL_S = 2.0
LIFE_S = 900
"""Without a frame for so long, the agent ends: its controller may be gone without a word."""


def serve(root: Path, code: Path) -> None:
    """Do what the controller asks until it is gone."""
    board = _Board(root, code, Pipe())
    try:
        while True:
            board.turn()
    except ControllerGone:
        return
    except (OSError, EdgekdError) as error:
        _tell(board.pipe, keeper.error_text(error))


def _tell(pipe: Pipe, message: str) -> None:
    try:
        pipe.say({"say": "refused", "message": message[:500]})
    except ControllerGone:
        return


class _Board:
    """One link's own state: the lease it holds and the files it has verified."""

    def __init__(self, root: Path, code: Path, pipe: Pipe) -> None:
        self.root, self.code, self.pipe = root, code, pipe
        self.lease: int | None = None
        self.verified: set[str] = set()
        self.told_s = 0.0
        home.make_folders(root)

    def turn(self) -> None:
        """Take one frame and do it; the lease is given up while there is none."""
        signal.alarm(LIFE_S)
        if not self.pipe.wait(IDLE_S):
            self._release()
        frame = self.pipe.frame()
        {"order": self._order, "done": self._done, "abandon": self._abandon, "probe": self._probe}[
            frame["do"]
        ](frame)

    def _probe(self, frame: dict[str, Any]) -> None:
        packages = [str(name) for name in frame["packages"]]
        self.pipe.say({"say": "probe", **probe.describe_machine(self.root, packages)})

    def _order(self, frame: dict[str, Any]) -> None:
        """Answer with the order's result: one that is there, one that is being made, or a new one."""
        signal.alarm(LIFE_S + int(frame["wait_s"] + frame["timeout_s"]))
        folder = self.root / "jobs" / frame["id"]
        for _ in range(jobs.TRIES + 2):
            held = jobs.lock_job(folder)
            while held is None:  # a keeper is at work that was started over a link now gone
                self._sleep("this same order", lease.POLL_S)
                held = jobs.lock_job(folder)
            try:
                if jobs.send_result(folder, self.pipe):
                    return
                if not self._leased(frame):
                    return
                self._push(frame)
                jobs.run(self.root, self.code, folder, frame, self.pipe)
            finally:
                os.close(held)
        self.pipe.say({"say": "refused", "message": "its result cannot be read back"})

    def _leased(self, frame: dict[str, Any]) -> bool:
        """Hold the device; if it is free no more, who has it is told."""
        path = self.root / "lease"
        if self.lease is None:
            self.lease = lease.acquire(
                path, frame["holder"], wait_s=frame["wait_s"], waiting=self._sleep
            )
            if self.lease is None:
                self.pipe.say({"say": "busy", "holder": lease.holder_of(path)})
                return False
            home.remove_leftovers(self.root, self.code)
        return True

    def _push(self, frame: dict[str, Any]) -> None:
        """Ask for the files that are not here."""
        wanted: dict[str, int] = dict(frame["reads"].values())
        missing = {
            sha256: size
            for sha256, size in wanted.items()
            if sha256 not in self.verified and not home.has_blob(self.root, sha256, size)
        }
        self.verified |= wanted.keys() - missing.keys()
        if not missing:
            return
        home.make_space(self.root, sum(missing.values()), set(wanted))
        for sha256, size in missing.items():
            self.pipe.say({"say": "need", "sha256": sha256})
            home.store_blob(self.root, sha256, size, self.pipe.body(size))
            self.verified.add(sha256)

    def _done(self, frame: dict[str, Any]) -> None:
        jobs.clear(self.root / "jobs" / frame["id"])

    def _abandon(self, frame: dict[str, Any]) -> None:
        jobs.abandon(self.root / "jobs" / frame["id"])
        self.pipe.say({"say": "abandoned"})

    def _sleep(self, holder: str, wait_s: float) -> None:
        """Let time pass and tell for whom we wait, unless the controller goes."""
        if self.pipe.wait(wait_s):
            raise ControllerGone  # it says nothing while it waits for us
        if time.monotonic() > self.told_s + TELL_S:
            self.told_s = time.monotonic()
            self.pipe.say({"say": "waiting", "holder": holder})

    def _release(self) -> None:
        if self.lease is not None:
            os.close(self.lease)
            self.lease = None
