"""The page's server as a child of another one: what it gets, where it listens. That it serves: `test_extension.py`."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from run_qarnot.page.background_server import BackgroundServer, child_environment


def test_the_secrets_of_the_other_server_stay_there() -> None:
    secret = {
        "JUPYTER_TOKEN": "a", "JUPYTERHUB_API_TOKEN": "b", "JPY_API_TOKEN": "c", "JUPYTERHUB_CRYPT_KEY": "d",
        "CONFIGPROXY_AUTH_TOKEN": "e", "JUPYTERHUB_CLIENT_SECRET": "f", "BINDER_CLIENT_IP": "192.0.2.7",
    }  # fmt: skip
    kept = {
        "PATH": "/bin", "QARNOT_CLIENT_TOKEN": "of the team", "JUPYTERHUB_USER": "anna", "JUPYTER_PATH": "/x",
        "BINDER_LAUNCH_HOST": "https://mybinder.org/", "JUPYTERHUB_SERVICE_PREFIX": "/user/anna/",
    }  # fmt: skip
    assert child_environment(secret | kept) == kept


def test_its_socket_is_in_a_folder_of_this_user_alone() -> None:
    server = BackgroundServer("/run-qarnot/")
    folder = server.socket.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert server.socket == server.socket, "always the same one"
    assert not server.is_ready


def test_the_path_of_the_socket_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert len(str(BackgroundServer("/").socket)) < 100
