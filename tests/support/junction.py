"""One address for several local clusters, each with an account of its own: the cloud has one address for all.

A connection goes to the cluster whose token, or e-mail address (which is the name of the storage's key), its first
request holds. Every client keeps to one account on a connection; who names none gets the first.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote, urlsplit

from qarnot_local import LocalCluster

_HEAD_END = b"\r\n\r\n"
_CHUNK = 1 << 16


@contextlib.contextmanager
def joined(clusters: Sequence[LocalCluster]) -> Iterator[tuple[str, str]]:
    """Run it for the block; what is given are the addresses of API and storage."""
    with (
        _listening(clusters, lambda cluster: cluster.cluster_url) as api,
        _listening(clusters, lambda cluster: cluster.storage_url) as storage,
    ):
        yield api, storage


@contextlib.contextmanager
def _listening(clusters: Sequence[LocalCluster], address: Callable[[LocalCluster], str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with contextlib.suppress(OSError):  # it is closed
                while True:
                    client, _ = listener.accept()
                    threading.Thread(target=_serve, args=(client, clusters, address), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(client: socket.socket, clusters: Sequence[LocalCluster], address: Callable[[LocalCluster], str]) -> None:
    with client, contextlib.suppress(OSError):
        head = b""
        while _HEAD_END not in head:
            if not (chunk := client.recv(_CHUNK)):
                return
            head += chunk
        place = urlsplit(address(_meant(head.partition(_HEAD_END)[0], clusters)))
        assert place.hostname
        assert place.port
        with socket.create_connection((place.hostname, place.port)) as cluster:
            cluster.sendall(head)
            _pass_on(client, cluster)


def _meant(head: bytes, clusters: Sequence[LocalCluster]) -> LocalCluster:
    for cluster in clusters:
        if any(name.encode() in head for name in (cluster.token, cluster.email, quote(cluster.email, safe=""))):
            return cluster
    return clusters[0]


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Both ways, until one of them ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                assert isinstance(source, socket.socket)
                if not (chunk := source.recv(_CHUNK)):
                    return
                key.data.sendall(chunk)
