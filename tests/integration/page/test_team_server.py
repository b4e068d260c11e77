"""Twenty people on one server: each one's page, kernel and sessions are closed to the others, and memory has a limit.

The server, the kernels, OpenSSH and what travels are real; the browsers are HTTP and websockets. Sessions are
registered as the kernels of pages do it: over the socket in the server's private folder.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import requests
from support.machine import Machine, machine
from support.processes import gone
from support.proxied import serving
from support.site import Site
from support.waiting import wait_until
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler
from websocket import WebSocket, WebSocketBadStatusException, create_connection

from run_qarnot.engine.proxied import ProxiedSession
from run_qarnot.page import limits, registry_socket
from run_qarnot.page.proxied import TICKET

pytestmark = pytest.mark.slow

PEOPLE = 20
TOKEN = "the team's own token"
BASE = "/team/"
AT_ONCE = 4  # pages that are being opened: each costs a second of a core


class Secret(RequestHandler):
    """An app with a page that is meant for one person."""

    def get(self, session_id: str) -> None:
        self.finish(f"secret of {session_id}")


class Echo(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message)


@dataclass
class Person:
    """Somebody who has logged in, with a page and a session."""

    number: int
    site: Site
    browser: requests.Session = field(default_factory=requests.Session)
    kernel: str = ""

    @property
    def session_id(self) -> str:
        return f"rq-{self.number:012x}"

    @property
    def path(self) -> str:
        return f"{BASE}{self.session_id}/"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.site.port}"

    def log_in(self) -> None:
        self.browser.trust_env = False
        self.browser.headers["Sec-Fetch-Site"] = "same-origin"
        form = {"token": TOKEN, "next": BASE}
        answer = self.browser.post(f"{self.origin}{BASE}login", data=form, allow_redirects=False, timeout=60)
        assert answer.status_code == 303

    def open_page(self) -> int:
        """Open the page, with a kernel; return the status."""
        answer = self.browser.get(self.origin + BASE, timeout=180)
        if found := re.search(r'kernelId = "([\w-]+)"', answer.text):
            self.kernel = found[1]
        return answer.status_code

    def ask(self, path: str, method: str = "GET") -> requests.Response:
        return self.browser.request(method, self.origin + path, allow_redirects=False, timeout=60)

    def connect(self, path: str) -> WebSocket:
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.browser.cookies)
        address = f"ws://127.0.0.1:{self.site.port}{path}"
        return create_connection(address, cookie=cookies, origin=self.origin, timeout=60)

    def is_refused(self, path: str) -> bool:
        """Whether a websocket is."""
        try:
            self.connect(path).close()
        except WebSocketBadStatusException as error:
            return error.status_code == 403
        return False

    def kernel_answers(self) -> bool:
        """Whether the visitor's own kernel does what it is asked."""
        socket = self.connect(f"{BASE}api/kernels/{self.kernel}/channels")
        asked = uuid.uuid4().hex
        header = {"msg_id": asked, "msg_type": "comm_info_request", "username": "", "session": "x", "version": "5.3"}
        rest = {"parent_header": {}, "metadata": {}, "content": {}, "channel": "shell", "buffers": []}
        try:
            socket.send(json.dumps({"header": header, **rest}))
            while True:
                message = json.loads(socket.recv())
                if message["msg_type"] == "comm_info_reply" and message["parent_header"]["msg_id"] == asked:
                    return bool(message["content"]["comms"])  # the page's widgets
        finally:
            socket.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    options = "--ip=127.0.0.1", f"--base-url={BASE}", "--trust-proxy", f"--max-visitors={PEOPLE}"
    site = Site(tmp_path_factory.mktemp("team"), *options, RUN_QARNOT_LOGIN_TOKEN=TOKEN)
    yield site
    site.end()


@pytest.fixture(scope="module")
def people(site: Site) -> list[Person]:
    """All of them, with their pages open."""
    people = [Person(number, site) for number in range(PEOPLE)]
    for person in people:
        person.log_in()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(Person.open_page, people)) == [200] * PEOPLE
    return people


@pytest.fixture(scope="module")
def app() -> Iterator[int]:
    routes = [(r"/(rq-\w+)/secret", Secret), (r"/rq-\w+/echo", Echo)]
    with serving(Application(routes)) as port:
        yield port


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine")) as running:
        yield running


@pytest.fixture(scope="module")
def sessions(site: Site, people: list[Person], ssh: Machine, app: int) -> list[ProxiedSession]:
    """One for each of them, which they have opened from their pages."""
    folder = _private_folder(site)
    found = []
    for person in people:
        session = ssh.session(
            app, id=person.session_id, key=f"{person.number:064d}", base_path=f"/{person.session_id}/"
        )
        asyncio.run(registry_socket.register(folder, session))
        address = f"{person.path}?{TICKET}={_ticket(folder, session, person)}"
        assert person.ask(address).status_code == 302
        assert person.ask(address).status_code == 302, "he is in already; the ticket itself is used"
        found.append(session)
    return found


def _private_folder(site: Site) -> Path:
    (socket,) = site.temporary.rglob("sessions.sock")
    folder: Path = socket.parent
    return folder


def _ticket(folder: Path, session: ProxiedSession, person: Person) -> str:
    return asyncio.run(registry_socket.get_ticket(folder, session, "secret", person.origin))


def test_each_has_a_kernel_which_the_others_cannot_use(people: list[Person], site: Site) -> None:
    assert len({person.kernel for person in people}) == PEOPLE
    assert len(site.kernels()) == PEOPLE
    assert all(person.kernel_answers() for person in people)
    for person, other in zip(people, [*people[1:], people[0]], strict=True):
        assert other.is_refused(f"{BASE}api/kernels/{person.kernel}/channels")
        assert other.ask(f"{BASE}api/kernels/{person.kernel}").status_code == 403
        assert other.ask(f"{BASE}voila/api/shutdown/{person.kernel}", "POST").status_code == 403
    stranger = Person(99, site)
    assert stranger.is_refused(f"{BASE}api/kernels/{people[0].kernel}/channels")
    assert people[0].ask(f"{BASE}api/kernels").status_code in {403, 404}, "no list of all"
    assert all(person.kernel_answers() for person in people), "nobody was thrown out"


def test_each_has_a_session_which_the_others_cannot_open(
    people: list[Person], sessions: list[ProxiedSession], site: Site
) -> None:
    folder = _private_folder(site)
    for person, other, session in zip(people, [*people[1:], people[0]], sessions, strict=True):
        assert person.ask(f"{person.path}secret").text == f"secret of {person.session_id}"
        refused = other.ask(f"{person.path}secret")
        assert (refused.status_code, "secret of" in refused.text) == (403, False)
        assert other.is_refused(f"{person.path}echo")
        wrong = _ticket(folder, session, person)
        assert other.ask(f"{other.path}?{TICKET}={wrong}").status_code == 302, "into his own session, where he is"
        assert other.ask(f"{person.path}secret").status_code == 403
    own = next(cookie.value for cookie in people[0].browser.cookies if cookie.path == people[0].path)
    taken = requests.get(
        f"{people[1].origin}{people[1].path}secret", cookies={"run-qarnot-visit": str(own)}, timeout=60
    )
    assert taken.status_code == 403, "a cookie is of one session"


def test_all_of_them_work_at_once_within_the_memory_that_is_planned_for(
    people: list[Person], sessions: list[ProxiedSession], site: Site
) -> None:
    sockets = [person.connect(f"{person.path}echo") for person in people]
    for number, socket in enumerate(sockets):
        socket.send(f"from {number}")
    assert [socket.recv() for socket in sockets] == [f"from {number}" for number in range(PEOPLE)]
    used = _memory(site)
    for socket in sockets:
        socket.close()
    print(f"{PEOPLE} pages with a session each: {used / 1e6:.0f} MB")
    assert used < limits._KEPT_BYTES + PEOPLE * limits._VISITOR_BYTES


def test_the_next_one_waits_until_somebody_leaves(people: list[Person], site: Site) -> None:
    late = Person(PEOPLE, site)
    late.log_in()
    assert late.open_page() == 503
    assert late.kernel == ""
    leaving = people[-1]
    kernels = site.kernels()
    assert leaving.ask(f"{BASE}voila/api/shutdown/{leaving.kernel}", "POST").status_code == 204
    wait_until(lambda: len(site.kernels()) == PEOPLE - 1, "the kernel of who left to end")
    assert late.open_page() == 200
    assert late.kernel_answers()
    assert late.ask(f"{BASE}logout", "POST").status_code == 200
    wait_until(lambda: len(site.kernels()) == PEOPLE - 1, "the kernel of who logged out to end")
    assert not gone(kernels), "and of nobody else"
    assert all(person.kernel_answers() for person in people[:-1])


def _memory(site: Site) -> int:
    """Bytes of the server and its kernels; what copies share counts once, where the system tells."""
    server = psutil.Process(site.process.pid)
    used = [each.memory_full_info() for each in (server, *server.children(recursive=True))]
    return sum(getattr(each, "pss", each.uss) for each in used)
