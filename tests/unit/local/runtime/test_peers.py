"""The machines of a run: an address for each, in a file that all of them see."""

from __future__ import annotations

import socket
from pathlib import Path

from qarnot_local.runtime.images.adapter import InstancePlace
from qarnot_local.runtime.peers import Peers


def test_each_machine_has_an_address_of_its_own_and_each_attempt_a_new_one(tmp_path: Path) -> None:
    peers = Peers(tmp_path)
    first, second = peers.join(0), peers.join(1)
    again = peers.join(1)
    assert len({first, second, again}) == 3
    assert (tmp_path / "qhost").read_text().split() == [first, again]
    with socket.create_server((first, 0)):
        peers.leave(0)
    assert (tmp_path / "qhost").read_text().split() == [again]


def test_a_run_that_is_over_is_no_fault(tmp_path: Path) -> None:
    peers = Peers(tmp_path / "gone")
    assert peers.join(0)
    peers.leave(0)


def test_paths_of_the_container_stand_for_folders_of_this_machine() -> None:
    place = InstancePlace(Path("/runs/0/job"), Path("/runs/share"))
    assert place.local("cp /job/a /share/b /shared") == "cp /runs/0/job/a /runs/share/b /shared"
    assert InstancePlace(Path("/runs/0/job")).local("/share") == "/share"
