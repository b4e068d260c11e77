"""How a session will be opened: told before it is started."""

from __future__ import annotations

import pytest

from run_qarnot.model.connections import Mount
from run_qarnot.model.expected_connection import ExpectedConnection as Expected
from run_qarnot.model.expected_connection import SshOut, Surroundings, expected_connection

LAB = 8888


@pytest.mark.parametrize(
    ("is_elsewhere", "ssh_out", "mount", "expected"),
    [
        (False, SshOut.OPEN, Mount.PREFIX, Expected.HERE),
        (False, SshOut.UNKNOWN, Mount.PREFIX, Expected.HERE),
        (False, SshOut.OPEN, Mount.NONE, Expected.HERE),  # the tunnel has an address of its own
        (False, SshOut.BLOCKED, Mount.PREFIX, Expected.OTHER_NETWORK),
        (True, SshOut.OPEN, Mount.PREFIX, Expected.HERE),
        (True, SshOut.OPEN, Mount.STRIP, Expected.HERE),
        (True, SshOut.OPEN, Mount.NONE, Expected.OWN_ADDRESS),
        (True, SshOut.BLOCKED, Mount.NONE, Expected.OWN_ADDRESS),
        (True, SshOut.UNKNOWN, Mount.PREFIX, Expected.UNSURE),
        (True, SshOut.BLOCKED, Mount.PREFIX, Expected.OWN_COMPUTER),
    ],
)
def test_it_depends_on_where_the_browser_is_and_on_ssh(
    is_elsewhere: bool, ssh_out: SshOut, mount: Mount, expected: Expected
) -> None:
    assert expected_connection("base", LAB, mount, Surroundings(is_elsewhere, ssh_out)) is expected


def test_a_gateway_of_its_own_needs_no_ssh() -> None:
    around = Surroundings(True, SshOut.BLOCKED, frozenset({"desk"}))
    assert expected_connection("desk", LAB, Mount.NONE, around) is Expected.HERE
    assert expected_connection("base", LAB, Mount.PREFIX, around) is Expected.OWN_COMPUTER


def test_what_has_no_page_is_not_opened() -> None:
    assert expected_connection("batch", None, Mount.NONE, Surroundings(True, SshOut.BLOCKED)) is Expected.NO_PAGE


def test_only_what_cannot_be_opened_here_wants_consent() -> None:
    assert {entry for entry in Expected if entry.needs_consent} == {
        Expected.OWN_COMPUTER, Expected.OWN_ADDRESS, Expected.OTHER_NETWORK,
    }  # fmt: skip
