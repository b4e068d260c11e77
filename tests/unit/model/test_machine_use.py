"""What a card says of the machines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from run_qarnot.model.machine_use import UseHistory, cpu_percent, memory_percent
from run_qarnot.model.view import MachineUse

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BUSY = MachineUse(cores=28, cpu="Example CPU", cpu_percent=88, memory_mb=131072, memory_used_mb=27500)


def test_a_machine_is_told_in_cores_gigabytes_and_percent() -> None:
    history = UseHistory()
    assert history.row() is None
    history.add(NOW, [BUSY])
    row = history.row()
    assert row is not None
    assert (row["cores"], row["memory_gb"], row["cpu"], round(row["memory"])) == (28, 128, 88, 21)
    assert (row["history"], row["hint"]) == ([88], "")


def test_the_kind_of_machine_is_that_of_the_first_that_is_known() -> None:
    history = UseHistory()
    history.add(NOW, [BUSY, replace(BUSY, specification="28c-128g-a6000")])
    row = history.row()
    assert row is not None
    assert row["specification"] == "28c-128g-a6000"


def test_several_machines_are_told_together() -> None:
    idle = MachineUse(cores=4, cpu_percent=0, memory_mb=8192, memory_used_mb=8000)
    assert cpu_percent([BUSY, idle]) == pytest.approx(88 * 28 / 32)
    assert memory_percent([BUSY, idle]) == pytest.approx(97.66, abs=0.01), "of the one that is fullest"


@pytest.mark.parametrize("machines", [[], [MachineUse()], [MachineUse(memory_mb=0, memory_used_mb=1)]])
def test_what_the_cluster_does_not_say_is_unknown(machines: list[MachineUse]) -> None:
    assert cpu_percent(machines) is None
    assert memory_percent(machines) is None


def test_an_hour_is_kept_and_of_each_minute_the_peak() -> None:
    history = UseHistory()
    for second in range(0, 3 * 3600, 20):
        use = MachineUse(cores=1, cpu_percent=50 if second % 60 else 10)
        history.add(NOW + timedelta(seconds=second), [use])
    row = history.row()
    assert row is not None
    assert row["history"] == [50.0] * 60


def test_full_memory_and_idleness_are_hinted_at() -> None:
    history = UseHistory()
    full = MachineUse(cores=1, cpu_percent=50, memory_mb=1000, memory_used_mb=900)
    history.add(NOW, [full])
    assert (history.row() or {})["hint"] == "memory-full"
    for minute in range(16):
        history.add(NOW + timedelta(minutes=minute), [MachineUse(cores=1, cpu_percent=2)])
        assert (history.row() or {})["hint"] == ("idle" if minute == 15 else "")
