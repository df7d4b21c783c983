"""Messages over a socket, whatever the other side sends."""

from __future__ import annotations

import fcntl
import resource
import socket
from collections.abc import Iterator

import pytest

from edgekd.launch.messages import MessageSocket
from edgekd.launch.messages import PeerLost

Sockets = tuple[socket.socket, socket.socket]


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_arrive_whole_and_in_order_however_they_are_cut(sockets: Sockets) -> None:
    ours, theirs = sockets
    reader = MessageSocket(ours)
    theirs.sendall(b'{"a": ')
    assert reader.receive(0.01) is None
    theirs.sendall(b'1}\n{"b": 2}\n')
    assert reader.receive() == {"a": 1} and reader.has_message()
    assert reader.receive() == {"b": 2} and not reader.has_message()
    MessageSocket(theirs).send({"text": "ü\n" * 10_000})
    assert reader.receive() == {"text": "ü\n" * 10_000}


def test_the_end_of_the_other_side_is_told(sockets: Sockets) -> None:
    ours, theirs = sockets
    theirs.close()
    with pytest.raises(PeerLost):
        MessageSocket(ours).receive()
    assert not MessageSocket(ours).send({})


@pytest.mark.parametrize("data", [b"[1]\n", b"\xff\n", b'{"a": NaN}\n', b'{"a":1,"a":2}\n'])
def test_what_is_no_message_ends_the_connection(data: bytes, sockets: Sockets) -> None:
    ours, theirs = sockets
    theirs.sendall(data)
    with pytest.raises(PeerLost):
        MessageSocket(ours).receive()


def test_a_message_without_end_ends_the_connection(sockets: Sockets) -> None:
    ours, theirs = sockets
    theirs.sendall(b"x" * 50_000)
    with pytest.raises(PeerLost, match="long"):
        MessageSocket(ours, most_bytes=1000).receive(0.01)


def test_a_process_with_many_open_files_hears_its_messages(sockets: Sockets) -> None:
    ours, theirs = sockets
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limits[1]))
    try:
        number = fcntl.fcntl(ours.fileno(), fcntl.F_DUPFD, 1500)  # more than select() takes
        with socket.socket(fileno=number) as high:
            theirs.sendall(b"{}\n")
            assert MessageSocket(high).receive(1) == {}
            assert MessageSocket(high).receive(0) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
