"""What this process knows of the way to an app before any tunnel is open."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from run_qarnot.bootstrap import BASE_URL, OPEN
from run_qarnot.catalog.apps import BUILTIN, App
from run_qarnot.cloud.models import TaskSnapshot, read_task
from run_qarnot.core.errors import SessionError
from run_qarnot.engine.access import AppAccess
from run_qarnot.model.connections import Mount
from run_qarnot.model.keys import derive_session_key

KEY = derive_session_key("token", "launch")
OTHER = derive_session_key("another token", "launch")
BASE = "/rq-0123456789ab/"


def access(app: App = BUILTIN["jupyterlab"]) -> AppAccess:
    made = AppAccess("calm", app, "root", KEY.private, "session", lambda: None)
    made.public_key = KEY.public
    return made


def task(keys: str = "session", **constants: str) -> TaskSnapshot:
    listed = [{"key": name, "value": value} for name, value in constants.items()]
    body: dict[str, Any] = {"uuid": "1", "labels": {"rq-keys": keys}, "constants": listed}
    return read_task(body)


def test_a_machine_whose_key_comes_from_another_token_is_known_by_its_constant() -> None:
    assert access().has_key(task(DOCKER_SSH=KEY.public))
    assert access().has_key(task()), "the cluster does not say, so ours is taken for right"
    foreign = task(DOCKER_SSH=OTHER.public)
    assert access().needs_other_token(foreign)
    assert not access().has_key(foreign)
    assert not access().can_tunnel(foreign)
    assert not access().needs_other_token(task("user", DOCKER_SSH=OTHER.public)), "only the user's key is in it"


def test_there_is_no_tunnel_to_an_app_without_a_port() -> None:
    assert access().can_tunnel(task())
    assert not access(BUILTIN["ssh"]).can_tunnel(task())


def test_a_key_that_is_none_is_an_error_of_the_session() -> None:
    with pytest.raises(SessionError) as caught:
        access().use_own_keys("no key")
    assert caught.value.code == "tunnel"


def test_the_base_url_is_learned_only_in_the_form_that_we_derive() -> None:
    made = access()
    for wrong in ("/elsewhere/", "//evil.example/", "/rq-0123456789AB/", "/"):
        made.learn(task(**{BASE_URL: wrong}))
        assert (made.base_path, made.mount) == ("/", Mount.NONE), wrong
    made.learn(task(**{BASE_URL: BASE}))
    assert (made.base_path, made.mount) == (BASE, Mount.PREFIX)
    made.base_path = "/"
    assert made.ignores_base
    assert made.mount is Mount.NONE, "it answers elsewhere, so a proxy cannot put it under a path"


def test_jupyterlab_opens_a_file_of_the_session_and_nothing_outside_it() -> None:
    made = access()
    made.learn(task(**{OPEN: "work/first.ipynb"}))
    assert made.open_path == "/lab/tree/work/first.ipynb"
    made.learn(task(**{OPEN: "../../etc/passwd"}))
    assert made.open_path == "/lab"


def test_the_link_that_an_app_prints_tells_its_token_and_its_base() -> None:
    made, forwards = access(), [{"applicationPort": 22, "forwarderHost": "127.0.0.1", "forwarderPort": 1}]
    status = {"runningInstancesInfo": {"perRunningInstanceInfo": [{"activeForwards": forwards}]}}
    facts = read_task({"uuid": "1", "status": status})

    def seems_ready(*texts: str) -> bool:
        async def read() -> tuple[str, ...]:
            return texts

        return asyncio.run(made.seems_ready(facts, [read]))

    assert not seems_ready("no link\n", "")
    assert seems_ready(f"http://127.0.0.1:8888{BASE}lab?token=abcdefgh\n")
    assert (made.app_token(facts), made.base_path) == ("abcdefgh", BASE)


def test_a_batch_is_ready_once_it_runs() -> None:
    assert asyncio.run(access(BUILTIN["batch"]).seems_ready(task(), []))
