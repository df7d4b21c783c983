"""Cut the link at every point of an order's exchange; each time the order must end whole, and only once.

    python tests/system/link_sweep.py --output benchmarks/reliability/link_cut.json

The link runs through a proxy in front of a real sshd on loopback. One uncut exchange is recorded, byte by byte
and in its times; then the first connection of an order is cut in the middle of each recorded packet, in either
direction, and at times spread over the whole. The order reads one file and leaves one. It must give the right
answer or exit code 3, start its worker once, and leave no process on the board.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices.ssh import RemoteDevice
from edgekd.errors import MachineError

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.devices.sshd import Board
from tests.devices.sshd import free_port

UP, DOWN = "up", "down"
FILE_BYTES = 200_000


class Point(NamedTuple):
    """Where a link is cut: after so many bytes in one direction, or after so long."""

    kind: str
    """``up``, ``down`` or ``time``."""
    at: float
    """Bytes, or seconds since the connection was made."""
    connections: int = 1
    """How many connections, from the first, are cut there."""
    silent: bool = False
    """Nothing more comes through, and neither end is told: as when a cable is pulled."""


class Packet(NamedTuple):
    """What came through the proxy at once."""

    direction: str
    before: int
    size_bytes: int
    at_s: float


class Proxy:
    """Passes connections on to a port, and cuts the first ones."""

    def __init__(self, port: int) -> None:
        self.port, self._goal = free_port(), port
        self.point: Point | None = None
        self.packets: list[Packet] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def plan(self, point: Point | None) -> None:
        """Begin anew: the next connection is the first."""
        self.point, self.packets, self.connections = point, [], 0

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._goal))
            except OSError:  # the board is down
                near.close()
                continue
            self.connections += 1
            cut = self.point is not None and self.connections <= self.point.connections
            point = self.point if cut else None
            start = time.monotonic()
            threading.Thread(
                target=self._pass_on, args=(near, far, point, start), daemon=True
            ).start()
            if point is not None and point.kind == "time":
                timer = threading.Timer(point.at, _cut, (near, far))
                timer.daemon = True
                timer.start()

    def _pass_on(
        self, near: socket.socket, far: socket.socket, point: Point | None, start: float
    ) -> None:
        up = threading.Thread(target=self._pump, args=(near, far, UP, point, start), daemon=True)
        up.start()
        self._pump(far, near, DOWN, point, start)
        up.join()
        for end in (near, far):
            end.close()

    def _pump(
        self,
        source: socket.socket,
        goal: socket.socket,
        direction: str,
        point: Point | None,
        start: float,
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(2**16):
                packet = Packet(direction, passed, len(data), time.monotonic() - start)
                with self._lock:
                    self.packets.append(packet)
                if point is not None and point.kind == direction and passed + len(data) > point.at:
                    goal.sendall(data[: max(0, int(point.at) - passed)])
                    if point.silent:
                        while source.recv(2**16):
                            pass
                    _cut(source, goal)
                    return
                goal.sendall(data)
                passed += len(data)
        for end in (source, goal):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _cut(*ends: socket.socket) -> None:
    """End them at once, with a reset and without the rest; whoever reads them closes them."""
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)


class Outcome(NamedTuple):
    """One cut and what came of it."""

    point: Point
    ending: str
    """``whole``, ``exit 3: ...`` or what is wrong."""
    connections: int
    starts: int
    seconds: float


class Exchange:
    """One order, to be asked again and again over the proxy."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board, self.proxy = board, Proxy(board.port)
        self.model = folder / "model.json"
        padding = hashlib.shake_256(b"padding").hexdigest(FILE_BYTES // 2)
        self.model.write_text(json.dumps({"features": 4, "padding": padding}))
        self.goal = folder / "goal"
        self.asked = 0
        board.count_starts()

    def order(self) -> WorkerJob:
        """A new order each time, so that no earlier one answers it."""
        self.asked += 1
        spec = {"job": "compile", "runtime": "null", "precision": "fp32", "kernels": False}
        shutil.rmtree(self.goal, ignore_errors=True)
        self.goal.mkdir()
        told = {**spec, "token": f"token-{self.asked}", "number": self.asked}
        reads = {"model.onnx": self.model}
        return WorkerJob("edgekd.bench.worker", told, {}, 30.0, reads, self.goal)

    def fresh(self, *, code: bool) -> None:
        """Take from the board what was pushed; edgekd's code only if asked to."""
        for name in ("cas", "jobs", *(["code"] if code else [])):
            shutil.rmtree(self.board.root / name, ignore_errors=True)

    def reference(self, *, code: bool) -> tuple[list[Packet], float]:
        """The packets of an exchange that nobody cuts, and its seconds."""
        self.fresh(code=code)
        self.proxy.plan(None)
        start = time.monotonic()
        _, ending = self._ask(self.order())
        assert ending == "whole", ending
        return list(self.proxy.packets), time.monotonic() - start

    def cut(self, point: Point, *, code: bool) -> Outcome:
        """One exchange, cut; and whether it ended as it must."""
        self.fresh(code=code)
        before = self.board.starts
        self.proxy.plan(point)
        start = time.monotonic()
        ended, ending = self._ask(self.order())
        seconds = time.monotonic() - start
        starts = self.board.starts - before
        if starts > 1 or (starts == 0 and ended is not None):
            ending = f"the worker was started {starts} times"
        left = self.board.settled()
        if left:
            ending = f"{len(left)} processes left"
        return Outcome(point, ending, self.proxy.connections, starts, round(seconds, 3))

    def _ask(self, order: WorkerJob) -> tuple[WorkerExit | None, str]:
        remote = self.remote()
        try:
            ended = remote.run(order)
        except MachineError as error:
            return None, f"exit 3: {error}"
        finally:
            remote.close()
        return ended, _fault(ended, order, self.model, self.goal)

    def remote(self) -> RemoteDevice:
        remote = self.board.remote(self.proxy.port)
        remote._reached = True  # as if used before: a cut first contact is tried again, too
        return remote


def _fault(ended: WorkerExit, order: WorkerJob, model: Path, goal: Path) -> str:
    said = json.loads(ended.stdout.splitlines()[-1]) if ended.stdout else {}
    if ended.returncode != 0 or said.get("token") != order.spec["token"]:
        return f"a wrong end: {ended}"
    names = [path.name for path in goal.iterdir()]
    if names != ["model.json"] or (goal / "model.json").read_bytes() != model.read_bytes():
        return f"wrong files: {names}"
    return "whole"


def points(packets: list[Packet], seconds: float, times: int) -> list[Point]:
    """One in the middle of each packet, and `times` spread over the whole time."""
    cuts = [Point(p.direction, p.before + p.size_bytes // 2) for p in packets]
    return cuts + [Point("time", seconds * (i + 0.5) / times) for i in range(times)]


def evenly(every: list[Point], count: int) -> list[Point]:
    """`count` of them, from the first to the last."""
    if len(every) <= count:
        return every
    return [every[round(i * (len(every) - 1) / (count - 1))] for i in range(count)]


def sweep(folder: Path, first: int, times: int, silent: int) -> dict[str, Any]:
    """All cuts; a summary."""
    outcomes: list[Outcome] = []
    packets: dict[str, int] = {}
    with Board(folder / "board") as board:
        exchange = Exchange(board, folder)
        for code in (True, False):
            recorded, seconds = exchange.reference(code=code)
            packets["first order" if code else "later order"] = len(recorded)
            every = points(recorded, seconds, 0)
            chosen = evenly(every, first) if code else every
            for point in [*chosen, *points([], seconds, times)]:
                outcomes.append(exchange.cut(point, code=code))
                print(outcomes[-1], flush=True)
        twice = [point._replace(connections=3) for point in points(recorded, seconds, 0)[::4]]
        pulled = [point._replace(silent=True) for point in points(recorded, seconds, 0)]
        for point in [*twice, *evenly(pulled, silent)]:
            outcomes.append(exchange.cut(point, code=False))
            print(outcomes[-1], flush=True)
        exchange.proxy.close()
    return summary(outcomes, packets)


def summary(outcomes: list[Outcome], packets: dict[str, int]) -> dict[str, Any]:
    good = [o for o in outcomes if o.ending == "whole"]
    refused = [o for o in outcomes if o.ending.startswith("exit 3")]
    bad = [o for o in outcomes if o not in good and o not in refused]
    return {
        "command": "python " + " ".join(sys.argv),
        "packets": packets,
        "cuts": len(outcomes),
        "cuts_by_kind": dict(Counter(_kind(o.point) for o in outcomes)),
        "whole": len(good),
        "exit_3": len(refused),
        "wrong": [{**o._asdict(), "point": o.point._asdict()} for o in bad],
        "exit_3_texts": sorted({o.ending for o in refused}),
        "workers_started": dict(sorted(Counter(o.starts for o in outcomes).items())),
        "connections": dict(sorted(Counter(o.connections for o in outcomes).items())),
        "longest_s": max(o.seconds for o in outcomes),
    }


def _kind(point: Point) -> str:
    kind = f"{point.kind}, pulled" if point.silent else point.kind
    return f"{kind}, {point.connections} links" if point.connections > 1 else kind


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--first", type=int, default=40, help="cuts of a first order, which pushes all"
    )
    parser.add_argument("--times", type=int, default=10, help="cuts at times, beside all packets")
    parser.add_argument("--silent", type=int, default=4, help="links that go dead without a word")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-link-") as work:
        report = sweep(Path(work), given.first, given.times, given.silent)
    text = json.dumps(report, indent=1)
    print(text)
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(text + "\n")
    os._exit(0 if not report["wrong"] else 1)


if __name__ == "__main__":
    main()
