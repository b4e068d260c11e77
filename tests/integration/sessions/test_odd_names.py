"""Files and buckets with names that somebody else chose, from the machine to the user's disk, and gone at last."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.command import CommandLine
from support.desk import Desk, at_a_desk, until

from qarnot_local import LocalCluster
from qarnot_local.control.control import Control
from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import InputError
from run_qarnot.core.state import State
from run_qarnot.model.files import Upload

pytestmark = pytest.mark.lifecycle

ODD = ["a:b.csv", "back\\slash.txt", "col\x01.log", "line\nend.txt", " space ", "Twin.txt", "twin.txt", "sub/é\x7f?"]
BATCH = Image(id="maker", app="batch", profile=("docker-batch",), repo="library/debian", command="true")


def making(names: list[str]) -> Image:
    """An image that makes files of these names, and ends."""
    octal = ["".join(f"\\{byte:03o}" for byte in name.encode()) for name in names]
    made = " && ".join(f'touch "$(printf "{name}.")"' for name in octal)  # `$(…)` drops line ends at the end
    return BATCH.model_copy(update={"command": f"sh -c 'mkdir -p sub && {made}'"})


def test_results_of_any_name_come_as_they_are_and_are_deleted_with_the_rest(
    cli: CommandLine, cluster: LocalCluster, tmp_path: Path
) -> None:
    names = [f"{name}." for name in ODD]

    async def scenario(desk: Desk) -> None:
        session = await desk.start(making(ODD), name="odd")
        async with desk.following(session):
            await until(session, lambda view: view.is_over, "it to end")

    at_a_desk(cluster, scenario)
    said = cli("results", "odd", "--output", "out")
    assert {str(path.relative_to(cli.folder / "out")) for path in (cli.folder / "out").rglob("*.")} == set(names)
    assert "becomes" not in said.err, "this disk can hold them all"
    said = cli("results", "odd", "--zip", "out.zip")
    in_zip = [name.replace("\\", "_") for name in names]
    assert sorted(zipfile.ZipFile(cli.folder / "out.zip").namelist()) == sorted(in_zip)
    assert said.err.count("becomes") == 1
    assert "back\\slash.txt. becomes back_slash.txt." in said.err
    cli("delete", "odd", "--files", "--yes")
    assert not {"odd-in", "odd-out"} & set(cluster_buckets(cluster))


def cluster_buckets(cluster: LocalCluster) -> Any:
    async def ask(desk: Desk) -> Any:
        return list(desk.account.client.storage.blocking.buckets())

    return at_a_desk(cluster, ask)


def test_another_bucket_is_taken_where_the_name_is_another_accounts_and_that_is_said(
    cluster: LocalCluster, control: Control, tmp_path: Path
) -> None:
    (tmp_path / "file.txt").write_text("ours")
    for name in ("lab-in", "lab-in-2", "lab-out"):
        control.foreign_bucket(name)

    async def scenario(desk: Desk) -> None:
        session = await desk.start(uploads=[Upload(tmp_path / "file.txt", "file.txt")], name="lab")
        async with desk.following(session):
            view = await until(session, lambda view: view.state is State.READY, "it to be ready")
            assert (view.inputs, view.results) == ("lab-in-3", "lab-out-2")
            assert session.inputs is not None
            assert session.inputs.is_own
            await session.stop()
        assert "“lab-in” belongs to another account, so “lab-in-3” is used" in desk.notes
        found = await desk.account.find("lab")
        assert (found.view.inputs, found.view.results) == ("lab-in-3", "lab-out-2"), "from the token alone"
        assert [file.key for file in desk.account.client.storage.blocking.files("lab-in-3")] == ["file.txt"]
        await found.delete(files=True)
        assert list(desk.account.client.storage.blocking.buckets()) == []

    at_a_desk(cluster, scenario)


def test_a_name_of_which_all_buckets_are_others_is_refused(cluster: LocalCluster, control: Control) -> None:
    name = "x" * 59  # too long for another
    control.foreign_bucket(f"{name}-out")

    async def scenario(desk: Desk) -> None:
        with pytest.raises(InputError) as caught:
            await desk.start(name=name)
        assert caught.value.code == "bucket-foreign"
        assert list(desk.account.client.storage.blocking.buckets()) == []

    at_a_desk(cluster, scenario)


def test_a_bucket_whose_name_could_not_be_made_today_comes_along(cli: CommandLine, cluster: LocalCluster) -> None:
    async def scenario(desk: Desk) -> None:
        storage = desk.account.client.storage.blocking
        storage.create("My_Data", "")
        storage._calls.put_object(Bucket="My_Data", Key="data.csv", Body=b"1")

    at_a_desk(cluster, scenario)
    cli("launch", "base", "--name", "with-data", "--bucket", "My_Data", "--detach")
    cli("stop", "with-data", "--no-save")


def test_a_start_at_the_limit_of_buckets_goes_on_with_those_that_are_there(
    cluster: LocalCluster, control: Control
) -> None:
    async def scenario(desk: Desk) -> None:
        for bucket in ("again-in", "again-out"):
            desk.account.client.storage.blocking.create(bucket, "again")
        control.full_quota("buckets")
        session = await desk.start(name="again")
        async with desk.following(session):
            await until(session, lambda view: view.state is State.READY, "it to be ready")
            await session.stop(save=False)

    at_a_desk(cluster, scenario)
