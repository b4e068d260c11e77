"""Ports of a cluster, which are the same after a restart."""

from __future__ import annotations

import json
from pathlib import Path

from qarnot_local.ports import Ports, listen


def test_a_port_is_kept_unless_another_program_has_it(tmp_path: Path) -> None:
    def port() -> tuple[int, list[tuple[str, int, int]]]:
        ports = Ports(tmp_path)
        with ports.listen("API") as listener:
            return listener.getsockname()[1], ports.lost

    first, _ = port()
    assert port() == (first, [])
    with listen(first):
        second, lost = port()
    assert lost == [("API", first, second)]


def test_a_damaged_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"API": "x"')
    with Ports(tmp_path).listen("API") as listener:
        port = listener.getsockname()[1]
    assert json.loads((tmp_path / "ports.json").read_text()) == {"API": port}
