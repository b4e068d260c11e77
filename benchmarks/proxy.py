"""JupyterLab through the page's proxy, against JupyterLab through an SSH tunnel alone, and without either.

    python benchmarks/proxy.py [--runs N] [--messages N] [--megabytes N]        or: make bench

A real OpenSSH server leads to a real JupyterLab. "direct" is the tunnel that a laptop has: a process of its own with a
port on loopback, because a session cannot be reached without one; "bare" is JupyterLab's own port. The three take
turns, so that a busy machine slows all. Measured are the echo of a kernel (median from a request to what it prints),
and how fast a file comes and goes. Memory is the proxy's high-water mark less what it was before the first file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import requests  # noqa: E402
from launch import _write  # noqa: E402
from support.machine import APP_TOKEN, PATH, SESSION_ID, ProxyServer, jupyterlab, machine, proxy_server  # noqa: E402
from websocket import create_connection  # noqa: E402

from run_qarnot.engine.proxied import ProxiedSession  # noqa: E402

ECHO_AIM, DOWN_AIM, UP_AIM, MEMORY_AIM_MB = 1.2, 0.5, 0.9, 16
Times = dict[str, list[float]]


def main() -> int:
    if sys.argv[1:2] == ["tunnel"]:  # the process of its own
        return asyncio.run(_hold_tunnel())
    parser = argparse.ArgumentParser(description="Times JupyterLab through the proxy against a tunnel.")
    parser.add_argument("--runs", type=int, default=3, help="of each transfer, after one that does not count")
    parser.add_argument("--messages", type=int, default=200, help="to a kernel (default: 200)")
    parser.add_argument("--megabytes", type=int, default=200, help="of a file (default: 200)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rq-") as name:
        folder = Path(name)
        with machine(folder / "machine") as ssh, jupyterlab(folder / "lab") as lab, proxy_server(folder) as server:
            session = ssh.session(lab)
            with tunnel(session) as direct:
                ways = [bare(lab), direct, through_proxy(server, session)]
                measure(ways, folder / "lab" / "work", arguments, server)
    return 0


class Way:
    """One way to the same JupyterLab."""

    def __init__(self, name: str, address: str, **headers: str) -> None:
        self.name, self.address, self.headers = name, address, headers
        self.client = requests.Session()
        self.client.trust_env = False
        self.client.headers.update(headers)

    def echo(self, kernel: str, count: int) -> list[float]:
        """Return the milliseconds from each of some requests to what the kernel prints."""
        address = self.address.replace("http", "ws", 1) + f"api/kernels/{kernel}/channels"
        origin = f"http://{urlsplit(self.address).netloc}"
        socket = create_connection(address, header=self.headers, origin=origin, timeout=30)
        try:
            return [_echo(socket, number) for number in range(count)]
        finally:
            socket.close()

    def down(self, name: str) -> float:
        started = time.perf_counter()
        with self.client.get(f"{self.address}files/{name}", stream=True, timeout=600) as answer:
            answer.raise_for_status()
            while answer.raw.read(1 << 20):
                pass
        return time.perf_counter() - started

    def up(self, body: bytes) -> float:
        started = time.perf_counter()
        answer = self.client.put(f"{self.address}api/contents/sent.txt", data=body, timeout=600)
        answer.raise_for_status()
        return time.perf_counter() - started


def bare(port: int) -> Way:
    return Way("bare", f"http://127.0.0.1:{port}/{SESSION_ID}/", Authorization=f"token {APP_TOKEN}")


@contextmanager
def tunnel(session: ProxiedSession) -> Iterator[Way]:
    """Hold a tunnel for the block, in a process of its own."""
    command = [sys.executable, __file__, "tunnel"]
    with subprocess.Popen(command, env=PATH, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps(session.as_message()), file=process.stdin, flush=True)
        try:
            port = int(process.stdout.readline())
            yield Way("direct", f"http://127.0.0.1:{port}/{SESSION_ID}/", Authorization=f"token {APP_TOKEN}")
        finally:
            process.terminate()


def through_proxy(server: ProxyServer, session: ProxiedSession) -> Way:
    ticket = requests.get(server.address(session), allow_redirects=False, timeout=30)
    cookie = ticket.headers["Set-Cookie"].split(";")[0]
    address = f"{server.origin}{server.base_url}{session.id}/"
    return Way("proxy", address, **{"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})


def measure(ways: list[Way], work: Path, arguments: argparse.Namespace, server: ProxyServer) -> None:
    kernel = ways[0].client.post(f"{ways[0].address}api/kernels", json={"name": "python3"}, timeout=60).json()["id"]
    (work / "file.bin").write_bytes(bytes(arguments.megabytes * 1_000_000))
    content = "x" * (arguments.megabytes * 1_000_000)
    body = json.dumps({"type": "file", "format": "text", "content": content}).encode()
    echo: Times = {way.name: [] for way in ways}
    down: Times = {way.name: [] for way in ways}
    up: Times = {way.name: [] for way in ways}
    for way in ways:
        way.echo(kernel, 10)
    for _ in range(10):
        for way in ways:
            echo[way.name] += way.echo(kernel, arguments.messages // 10)
    before = _highest_mb(server.process.pid)
    for run in range(arguments.runs + 1):
        for way in ways:
            took = way.down("file.bin"), way.up(body)
            if run:
                down[way.name].append(took[0])
                up[way.name].append(took[1])
    report(echo, down, up, _highest_mb(server.process.pid) - before, arguments.megabytes)


def report(echo: Times, down: Times, up: Times, memory_mb: float, megabytes: int) -> None:
    middle = {
        name: {way: statistics.median(times) for way, times in of.items()}
        for name, of in (("echo_ms", echo), ("down_seconds", down), ("up_seconds", up))
    }
    result = {
        **middle,
        "megabytes": megabytes,
        "memory_mb": round(memory_mb, 1),
        "echo_ratio": round(middle["echo_ms"]["proxy"] / middle["echo_ms"]["direct"], 3),
        "down_ratio": round(middle["down_seconds"]["direct"] / middle["down_seconds"]["proxy"], 3),
        "up_ratio": round(middle["up_seconds"]["direct"] / middle["up_seconds"]["proxy"], 3),
        "aims": {"echo": ECHO_AIM, "down": DOWN_AIM, "up": UP_AIM, "memory_mb": MEMORY_AIM_MB},
    }
    for name, of in middle.items():
        print(f"{name:13}", "  ".join(f"{way} {value:.2f}" for way, value in of.items()))
    print(
        f"the proxy against the tunnel: echo {result['echo_ratio']:.2f} × the time (aim: at most {ECHO_AIM}), "
        f"down {result['down_ratio']:.2f} × the speed (at least {DOWN_AIM}), "
        f"up {result['up_ratio']:.2f} × (at least {UP_AIM}), + {memory_mb:.0f} MB (at most {MEMORY_AIM_MB})"
    )
    _write("proxy", result)


def _echo(socket: Any, number: int) -> float:
    asked = uuid.uuid4().hex
    header = {"msg_id": asked, "msg_type": "execute_request", "username": "", "session": "bench", "version": "5.3"}
    content = {"code": f"print({number})", "silent": False, "store_history": False}
    message = {
        "header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": [],
    }  # fmt: skip
    started, took = time.perf_counter(), 0.0
    socket.send(json.dumps(message))
    seen: set[str] = set()
    while not {"stream", "execute_reply", "idle"} <= seen:
        answer = json.loads(socket.recv())
        if answer["parent_header"].get("msg_id") != asked:
            continue
        seen |= {answer["msg_type"], answer["content"].get("execution_state", "")}
        if answer["msg_type"] == "stream":
            took = (time.perf_counter() - started) * 1000
    return took


def _highest_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


async def _hold_tunnel() -> int:
    from run_qarnot.engine.tunnel import Tunnel

    session = ProxiedSession.from_message(json.loads(sys.stdin.readline()))
    held = Tunnel(session.user, [session.private_key])
    await held.open(session.ssh, session.app_port)
    print(held.port, flush=True)
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
