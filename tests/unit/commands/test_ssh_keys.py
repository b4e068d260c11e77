"""The user's own SSH keys."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from run_qarnot.commands import ssh_keys
from run_qarnot.core.errors import InputError
from run_qarnot.model.keys import derive_session_key

KEY = derive_session_key("token", "launch")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, with the public one beside it."""
    (tmp_path / "id").write_text(KEY.private)
    (tmp_path / "id.pub").write_text(KEY.public)
    return tmp_path / "id"


def test_the_printed_command_names_the_private_key_or_else_the_public_one(key: Path) -> None:
    assert ssh_keys.identity(None) is None
    assert ssh_keys.identity(key) == ssh_keys.identity(key.with_suffix(".pub")) == str(key)
    key.unlink()
    assert ssh_keys.identity(key.with_suffix(".pub")) == f"{key}.pub", "the agent may hold the other half"


def test_a_key_is_read_also_as_powershell_writes_it(key: Path) -> None:
    wide = key.with_name("wide.pub")
    wide.write_bytes(b"\xff\xfe" + KEY.public.encode("utf-16-le"))
    assert ssh_keys.read_key(wide) == ssh_keys.read_key(key.with_suffix(".pub"))
    for wrong, content in (("missing", None), ("binary", b"\xff\x00\xff")):
        if content is not None:
            key.with_name(wrong).write_bytes(content)
        with pytest.raises(InputError) as caught:
            ssh_keys.read_key(key.with_name(wrong))
        assert caught.value.code == "file-unreadable"


def test_a_session_that_takes_our_key_is_opened_with_it_alone(key: Path) -> None:
    used: list[str | None] = []

    def session(*, ours: bool) -> Any:
        return SimpleNamespace(knows_session_key=ours, use_own_keys=used.append)

    ssh_keys.use_own_key(session(ours=True), key)
    assert used == []
    ssh_keys.use_own_key(session(ours=False), key)
    ssh_keys.use_own_key(session(ours=False), None)
    assert used == [KEY.private, None]
