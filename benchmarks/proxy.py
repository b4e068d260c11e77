"""JupyterLab through the page's proxy, against JupyterLab through an SSH tunnel alone, and without either.

    python benchmarks/proxy.py [--runs N] [--messages N] [--megabytes N]        or: make bench

A real OpenSSH server leads to a real JupyterLab. "direct" is the tunnel that a laptop has: a process of its own with a
port on loopback, because a session cannot be reached without one; "bare" is JupyterLab's own port; "proxy" the page's
server; "hub" a real JupyterHub, whose proxy leads to a user's server, that to the page's server, and that to the
tunnel. They take turns, so that a busy machine slows all. Measured are the echo of a kernel (from a request to what it
prints), one small request, and how fast a file comes and goes; of each the median and the middle half of the runs.
Memory is the high-water mark of a process after the files, less what it was before the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "benchmarks")]

import requests  # noqa: E402
from launch import _write  # noqa: E402
from spread import Spread  # noqa: E402
from support.hub import PASSWORD, USERS, Hub, hub  # noqa: E402
from support.machine import APP_TOKEN, PATH, SESSION_ID, ProxyServer, jupyterlab, machine, proxy_server  # noqa: E402
from support.waiting import wait_until  # noqa: E402
from websocket import create_connection  # noqa: E402

from run_qarnot.engine.proxied import ProxiedSession  # noqa: E402
from run_qarnot.model.connections import tunnel_port  # noqa: E402
from run_qarnot.page import registry_socket  # noqa: E402
from run_qarnot.page.proxied import TICKET  # noqa: E402

ECHO_AIM, DOWN_AIM, UP_AIM, MEMORY_AIM_MB = 1.2, 0.5, 0.9, 16
WHAT = ("echo_ms", "small_ms", "down_seconds", "up_seconds")
_SERVERS = {"user's server": "jupyterhub.singleuser", "page's server": "run_qarnot.page.server"}
Times = dict[str, list[float]]


def main() -> int:
    if sys.argv[1:2] == ["tunnel"]:  # the process of its own
        return asyncio.run(_hold_tunnel())
    parser = argparse.ArgumentParser(description="Times JupyterLab through the proxy against a tunnel.")
    parser.add_argument("--runs", type=int, default=3, help="of each transfer, after one that does not count")
    parser.add_argument("--messages", type=int, default=200, help="to a kernel (default: 200)")
    parser.add_argument("--megabytes", type=int, default=200, help="of a file (default: 200)")
    parser.add_argument("--no-hub", action="store_true", help="leave JupyterHub out")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rq-")))
        ssh = stack.enter_context(machine(folder / "machine"))
        lab = stack.enter_context(jupyterlab(folder / "lab"))
        server = stack.enter_context(proxy_server(folder))
        session = ssh.session(lab)
        ways = [bare(lab), stack.enter_context(tunnel(session)), through_proxy(server, session)]
        if not arguments.no_hub:
            (folder / "hub").mkdir()
            ways.append(through_hub(stack.enter_context(hub(folder / "hub")), session))
        measure(ways, folder / "lab" / "work", arguments)
    return 0


class Way:
    """One way to the same JupyterLab.

    Arguments:
        name: in the results.
        address: of JupyterLab, with a slash at its end.
        processes: whose memory counts, by what they are.
        headers: of every request.
    """

    def __init__(self, name: str, address: str, processes: dict[str, int] | None = None, **headers: str) -> None:
        self.name, self.address, self.headers = name, address, headers
        self.processes = processes or {}
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

    def small(self) -> float:
        """Return the milliseconds of one small request, as JupyterLab sends a hundred of at its start."""
        started = time.perf_counter()
        self.client.get(f"{self.address}api/status", timeout=60).raise_for_status()
        return (time.perf_counter() - started) * 1000

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


@contextlib.contextmanager
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
    headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
    return Way("proxy", address, {"page's server": server.process.pid}, **headers)


def through_hub(running: Hub, session: ProxiedSession) -> Way:
    """Log in as a user, open the page, which starts two servers, and have the session known to the page's server."""
    user, visitor = USERS[0], requests.Session()
    visitor.trust_env = False
    visitor.get(f"{running.url}hub/login", timeout=60)
    form = {"username": user, "password": PASSWORD, "_xsrf": visitor.cookies["_xsrf"]}
    visitor.post(f"{running.url}hub/login?next=%2Fhub%2Fuser-redirect%2Frun-qarnot%2F", data=form, timeout=180)
    page = f"{running.url}user/{user}/run-qarnot/"
    wait_until(
        lambda: visitor.get(f"{page}healthz", headers={"Accept": "text/html"}, timeout=60).text == "ok\n",
        "the page",
        seconds=180,
    )
    (socket,) = running.folder.rglob("sessions.sock")
    asyncio.run(registry_socket.register(socket.parent, session))
    origin = running.url.rstrip("/")
    ticket = asyncio.run(registry_socket.get_ticket(socket.parent, session, "lab", origin))
    visitor.get(f"{page}{session.id}/?{TICKET}={ticket}", allow_redirects=False, timeout=60).raise_for_status()
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in visitor.cookies)
    found = {name: _process_of(running, module) for name, module in _SERVERS.items()}
    headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin"}
    return Way("hub", f"{page}{session.id}/", found, **headers)


def _process_of(running: Hub, module: str) -> int:
    (found,) = [
        each for each in running.processes() if module in each.cmdline() and "run_qarnot.lifeline" not in each.cmdline()
    ]
    return int(found.pid)


def measure(ways: list[Way], work: Path, arguments: argparse.Namespace) -> None:
    kernel = ways[0].client.post(f"{ways[0].address}api/kernels", json={"name": "python3"}, timeout=60).json()["id"]
    (work / "file.bin").write_bytes(bytes(arguments.megabytes * 1_000_000))
    content = "x" * (arguments.megabytes * 1_000_000)
    body = json.dumps({"type": "file", "format": "text", "content": content}).encode()
    times: dict[str, Times] = {what: {way.name: [] for way in ways} for what in WHAT}
    for way in ways:
        way.echo(kernel, 10)
    for _ in range(10):
        for way in ways:
            times["echo_ms"][way.name] += way.echo(kernel, max(arguments.messages // 10, 1))
            times["small_ms"][way.name] += [way.small() for _ in range(max(arguments.messages // 10, 1))]
    before = {way.name: {name: _highest_mb(pid) for name, pid in way.processes.items()} for way in ways}
    for run in range(arguments.runs + 1):
        for way in ways:
            took = way.down("file.bin"), way.up(body)
            if run:
                times["down_seconds"][way.name].append(took[0])
                times["up_seconds"][way.name].append(took[1])
    memory = {
        way.name: {name: round(_highest_mb(pid) - before[way.name][name], 1) for name, pid in way.processes.items()}
        for way in ways
    }
    report(times, {name: each for name, each in memory.items() if each}, arguments.megabytes)


def report(times: dict[str, Times], memory: dict[str, dict[str, float]], megabytes: int) -> None:
    """Print the results, and put them beside those of other benchmarks.

    Arguments:
        times: by what was measured, then by the way.
        memory: MB that each process of a way grew by.
        megabytes: of the file.
    """
    spread = {what: {way: Spread.of(each) for way, each in of.items()} for what, of in times.items()}
    ratios = {way: _ratios({what: of[way] for what, of in spread.items()}, spread) for way in memory}
    for what, of in spread.items():
        print(f"{what:13}", "  ".join(f"{way} {value}" for way, value in of.items()))
    for way, each in ratios.items():
        print(
            f"{way} against the tunnel: echo {each['echo_ratio']:.2f} × the time (aim: at most {ECHO_AIM}), "
            f"down {each['down_ratio']:.2f} × the speed (at least {DOWN_AIM}), "
            f"up {each['up_ratio']:.2f} × (at least {UP_AIM}); MB more (at most {MEMORY_AIM_MB}): {memory[way]}"
        )
    result = {
        **{what: {way: value.median for way, value in of.items()} for what, of in spread.items()},
        "middle_half": {
            what: {way: [value.low, value.high] for way, value in of.items()} for what, of in spread.items()
        },
        "megabytes": megabytes,
        "memory": memory,
        "memory_mb": memory["proxy"]["page's server"],
        **ratios["proxy"],
        **({"hub": ratios["hub"]} if "hub" in ratios else {}),
        "aims": {"echo": ECHO_AIM, "down": DOWN_AIM, "up": UP_AIM, "memory_mb": MEMORY_AIM_MB},
    }
    _write("proxy", result)


def _ratios(way: dict[str, Spread], of_all: dict[str, dict[str, Spread]]) -> dict[str, float]:
    """Of a way against the tunnel alone: time of an echo, speed of the files."""
    direct = {what: of["direct"].median for what, of in of_all.items()}
    return {
        "echo_ratio": round(way["echo_ms"].median / direct["echo_ms"], 3),
        "down_ratio": round(direct["down_seconds"] / way["down_seconds"].median, 3),
        "up_ratio": round(direct["up_seconds"] / way["up_seconds"].median, 3),
    }


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
    held = Tunnel(session.user, [session.private_key], tunnel_port(session.id))
    await held.open(session.ssh, session.app_port, session.host_key_problem)
    print(held.port, flush=True)
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
