"""Programs written for the cloud, by their shape (reference §7): each does what such a program does, in its words.

Pools are visited through qarnot_local.runtime.pool_machine .
"""

from __future__ import annotations

import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests
from botocore.config import Config
from qarnot.connection import Connection
from support.tasks import ended, forward, keys, ssh
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

LINK = "http://localhost:8888/lab?token="


@pytest.fixture
def configured(cluster: LocalCluster, tmp_path: Path) -> Connection:
    """As the samples connect: an INI file, whose address ends in a slash."""
    file = tmp_path / "samples.conf"
    file.write_text(f"[cluster]\nurl={cluster.cluster_url}/\n[client]\ntoken={cluster.token}\n")
    return Connection(str(file))


def test_hello_world(configured: Connection) -> None:
    task = configured.create_task("sample-hello", "docker-batch", 1)
    task.constants["DOCKER_CMD"] = "echo hello world from ${FRAME_ID}!"
    task.submit()
    assert ended(task) == "Success"  # `task.run()` is this, but looks only every 10 seconds
    assert "0> hello world from 0!" in task.stdout()
    task.delete()


def test_two_instances_followed_by_fresh_output(configured: Connection) -> None:
    task = configured.create_task("sample-advanced", "docker-batch", 2)
    printed, states = "", []
    try:
        task.constants["DOCKER_CMD"] = 'sh -c "echo Hello from $QRANK/$QSIZE!"'
        task.submit()
        done = False
        while not done:
            states.append(task.state)
            done = task.wait(0.2)
            printed += task.fresh_stdout()
            assert task.fresh_stderr() == ""
        assert task.state == "Success"
        assert time.strptime(task.execution_time, "%H:%M:%S").tm_sec >= 1, "a sample divides by it"
    finally:
        task.delete(purge_resources=True, purge_results=True)
    assert {"0> Hello from 0/2!", "1> Hello from 1/2!"} <= set(printed.splitlines())


def test_files_go_in_and_come_out(configured: Connection, tmp_path: Path) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "lorem.txt").write_text("lorem")
    task = configured.create_task("sample-files", "docker-batch", 1)
    bucket = configured.create_bucket("sample-files-in")
    bucket.sync_directory(str(tmp_path / "input"))
    task.resources.append(bucket)
    task.results = configured.create_bucket("sample-files-out")
    task.constants["DOCKER_CMD"] = "sh -c 'cat /job/lorem.txt | tr a-z A-Z > /job/LOREM.TXT'"
    task.submit()
    assert ended(task) == "Success"
    task.download_results(str(tmp_path / "output"))
    assert (tmp_path / "output" / "LOREM.TXT").read_text() == "LOREM"
    assert not (tmp_path / "output" / "lorem.txt").exists()
    task.delete(purge_resources=True, purge_results=True)
    assert {"sample-files-in", "sample-files-out"}.isdisjoint(each.uuid for each in configured.buckets())


def test_seven_images_at_once(configured: Connection) -> None:
    names = ("library/centos:5", "library/debian:jessie", "opensuse/leap:42.3", "archlinux:latest", "a:1", "b:2", "c:3")
    tasks = []
    for name in names:
        task = configured.create_task(f"sample-{name}", "docker-batch", 1)
        task.constants["DOCKER_REPO"], task.constants["DOCKER_TAG"] = name.split(":")
        task.constants["DOCKER_CMD"] = "cat /etc/os-release"
        task.submit()
        tasks.append(task)
    for task, name in zip(tasks, names, strict=True):
        assert ended(task) == "Success"
        assert name in task.stdout().splitlines()[0]
        task.delete()


def test_an_ssh_sample_prints_a_line_that_works(configured: Connection, keys_folder: Path) -> None:
    """It polls without a pause, and connects as another user than root."""
    from qarnot.hardware_constraint import SpecificHardware
    from qarnot.scheduling_type import OnDemandScheduling

    task = configured.create_task("RUN case SSH", "openfoam-ssh", 1)
    bucket = configured.create_bucket("motorbike-in")
    bucket.add_string("case", "case")
    task.resources.append(bucket)
    task.results = configured.create_bucket("motorbike-out")
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text().strip()
    task.constants["SETUP_CLUSTER_NB_SLOTS"] = 26
    task.constants["RUN_SCRIPT"] = "run.sh"
    task.hardware_constraints = [SpecificHardware("28c-128g-intel-dual-xeon2680v4-ssd")]
    task.scheduling_type = OnDemandScheduling()
    task.snapshot_whitelist = task.results_whitelist = ""
    task.snapshot(1800)
    task._update_cache_time = 0.05
    task.submit()
    forwards: list[Any] = []
    while not forwards:
        assert task.state != "Failure", task.errors[0]
        if task.state == "FullyExecuting":
            forwards = task.status.running_instances_info.per_running_instance_info[0].active_forward
    line = [word.replace("root@", "qarnot@") for word in ssh(forwards[0], keys_folder / "own", "ls")]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == "case\n"
    task.abort()
    assert ended(task) == "Cancelled"


@pytest.mark.parametrize("profile", ["ansys-fluent-e-corp", "altair-hyperworks-qarnot-vnc-wan", "fds-vnc"])
def test_software_with_a_shell_or_a_desktop_can_be_visited(configured: Connection, profile: str) -> None:
    """These samples wait for a forward of port 22, or for one with another host than the gateway's."""
    task = configured.create_task("visited", profile, 1)
    task.constants["FDS_CMD"] = ""  # as the sample of a desktop leaves it
    task.submit()
    door = forward(task)
    assert door.application_port == 22
    assert door.forwarder_host != "gateway.qarnotservices.com"
    task.abort()
    assert ended(task) == "Cancelled"


@pytest.mark.parametrize("constants", [{"FLUENT_CMD": "-i run.jou"}, {"DOCKER_CMD": "echo done"}])
def test_a_batch_program_ends_on_a_profile_that_can_be_visited(
    configured: Connection, constants: dict[str, str]
) -> None:
    """It sets a command and no key, and waits for the end."""
    for profile in ("ansys-fluent-e-corp", "starccm-qarnot-ssh", "fds-vnc"):
        task = configured.create_task("batch", profile, 1)
        task.constants.update(constants)
        task.submit()
        assert ended(task) == "Success"


@pytest.mark.parametrize("more", [{"DOCKER_SSH": ""}, {"NO_EXIT": "true"}])
def test_software_with_a_command_waits_for_visitors_who_gave_a_key(
    configured: Connection, keys_folder: Path, more: dict[str, str]
) -> None:
    task = configured.create_task("visited", "fds-vnc-ssh", 1)
    task.constants["FDS_CMD"] = "mpiexec fds temple.fds"
    task.constants.update({name: value or (keys_folder / "own.pub").read_text() for name, value in more.items()})
    task.submit()
    assert forward(task).application_port == 22
    task.abort()
    assert ended(task) == "Cancelled"


def test_set_ssh_of_qarnots_images_is_there(configured: Connection, keys_folder: Path) -> None:
    """As a public program calls it; the cluster answers SSH, with the key of the program."""
    task = configured.create_task("blank", "docker-nvidia-bi-a6000-network-ssh", 1)
    task.constants["DOCKER_REPO"] = "qarnotlab/blank-images"
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    task.constants["DOCKER_CMD"] = '/bin/bash -c "set_ssh && sleep infinity | tee master.logs"'
    task.submit()
    line = ssh(forward(task), keys_folder / "own", "set_ssh && ls")
    assert subprocess.run(line, capture_output=True, text=True, check=True, timeout=20).stdout == "master.logs\n"
    task.abort()
    assert ended(task) == "Cancelled"


def test_a_pool_with_a_desktop_can_be_visited(configured: Connection, keys_folder: Path) -> None:
    """A sample makes the pool, waits for its forward, and starts tasks in it from another program."""
    pool = configured.create_pool("desks", "ls-dyna-multislots-qarnot-vnc", 2)
    pool.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    pool.submit()

    def forwards() -> Any:
        pool.update(True)
        return pool.status.running_instances_info.per_running_instance_info[0].active_forward

    door = wait_until(forwards, "the pool has a forward")[0]
    assert door.forwarder_host != "gateway.qarnotservices.com"
    line = ssh(door, keys_folder / "own", "touch x; ls; nohup sleep 77 > /dev/null 2>&1 & echo $!")
    name, pid = subprocess.run(line, capture_output=True, text=True, check=True, timeout=20).stdout.split()
    assert name == "x"
    pool.close()
    wait_until(lambda: not psutil.pid_exists(int(pid)), "what ran there has ended", 10)
    again = subprocess.run(line, capture_output=True, check=False, timeout=20)
    assert again.returncode == 255


def test_the_profiles_of_all_samples_are_here(configured: Connection) -> None:
    known = set(configured.profiles_names())
    wanted = "docker-nvidia-batch docker-batch-smt docker-cluster-roce-network-ssh ubuntu abaqus meshroom houdini"
    assert set(wanted.split()) | {"ls-dyna-multislots-qarnot-vnc", "fds-non-cluster-vnc-ssh"} <= known
    task = configured.create_task("batch", "meshroom", 1)
    task.submit()
    assert ended(task) == "Success"


def notebook(connection: Connection, keys_folder: Path, profile: str, start: str = "") -> Any:
    """The task of the original notebook, submitted."""
    task = connection.create_task("notebook", profile, 1)
    task.resources.append(connection.create_bucket("notebook-in"))
    task.results = connection.retrieve_or_create_bucket(f"notebook-{profile}")
    task.constants["DOCKER_SSH"] = (keys_folder / "own.pub").read_text()
    task.constants["DOCKER_REPO"], task.constants["DOCKER_TAG"] = "qarnotlab/jupyterlab-base", "v1"
    if start:
        task.constants["DOCKER_CMD"] = start
    task.snapshot(1)  # the original says 5; the rest is the same
    assert list(task.results.directory("logs/")) == []
    task.submit()
    return task


def test_the_original_notebooks_back_end(configured: Connection, keys_folder: Path, tmp_path: Path) -> None:
    """A periodic snapshot; the second link in the log in the bucket; at the end a snapshot, a download, an abort."""
    newer = notebook(configured, keys_folder, "jupyterlab")
    older = notebook(configured, keys_folder, "docker-network-ssh", "/bin/bash /opt/start_jupyterlab.sh")
    for task in (newer, older):
        wait_until(partial(second_link, task.results, tmp_path / "log"), "the log has two links", 60)
        again = configured.retrieve_task(task.uuid)
        instance = again.status.running_instances_info.per_running_instance_info[0]
        assert instance.active_forward[0].application_port == 22
        again.instant()
        output = tmp_path / task.profile
        again.download_results(str(output))
        assert (output / "logs" / "qarnot.log").exists()
        again.abort()
    assert {ended(newer), ended(older)} == {"Cancelled"}


def second_link(bucket: Any, local: Path) -> str | None:
    if "logs/qarnot.log" not in keys(bucket):
        return None
    bucket.get_file("logs/qarnot.log", local=str(local))
    found = [line.strip() for line in local.read_text().splitlines() if LINK in line]
    return found[1] if len(found) > 1 else None


@pytest.fixture
def modern(cluster: LocalCluster) -> Any:
    """The wire of @aws-sdk/client-s3 v3, as boto3 can speak it: CRC32 checksums on all, region `default`."""
    config = Config(
        request_checksum_calculation="when_supported",
        response_checksum_validation="when_supported",
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
    )
    return boto3.client(
        "s3",
        endpoint_url=cluster.storage_url,
        region_name="default",
        aws_access_key_id=cluster.email,
        aws_secret_access_key=cluster.token,
        config=config,
    )


def test_a_node_client_stores_lists_and_deletes(modern: Any) -> None:
    modern.create_bucket(Bucket="node", CreateBucketConfiguration={"LocationConstraint": "default"})
    modern.put_object(Bucket="node", Key="a b/ü.txt", Body=b"text", ContentType="text/plain")
    part = bytes(5 << 20)
    upload = modern.create_multipart_upload(Bucket="node", Key="large", ChecksumAlgorithm="CRC32")["UploadId"]
    parts = []
    for number, data in ((1, part), (2, b"end")):
        answer = modern.upload_part(Bucket="node", Key="large", UploadId=upload, PartNumber=number, Body=data)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    modern.complete_multipart_upload(Bucket="node", Key="large", UploadId=upload, MultipartUpload={"Parts": parts})
    first = modern.list_objects_v2(Bucket="node", MaxKeys=1)
    assert first["IsTruncated"]
    second = modern.list_objects_v2(Bucket="node", ContinuationToken=first["NextContinuationToken"])
    assert [each["Key"] for page in (first, second) for each in page["Contents"]] == ["a b/ü.txt", "large"]
    old = modern.list_objects(Bucket="node", MaxKeys=1)
    rest = modern.list_objects(Bucket="node", Marker=old["NextMarker"])
    assert [each["Key"] for page in (old, rest) for each in page["Contents"]] == ["a b/ü.txt", "large"]
    assert modern.get_object(Bucket="node", Key="large")["Body"].read() == part + b"end"
    assert modern.list_objects(Bucket="node", Delimiter="/")["CommonPrefixes"] == [{"Prefix": "a b/"}]
    modern.delete_objects(Bucket="node", Delete={"Objects": [{"Key": "a b/ü.txt"}, {"Key": "large"}], "Quiet": True})
    modern.delete_bucket(Bucket="node")


def test_a_bucket_may_be_in_the_hosts_name(cluster: LocalCluster, modern: Any) -> None:
    modern.create_bucket(Bucket="by-host")
    port = cluster.storage_url.rpartition(":")[2]
    virtual = boto3.client(
        "s3",
        endpoint_url=f"http://localhost:{port}",
        region_name="eu-west-1",
        aws_access_key_id=cluster.email,
        aws_secret_access_key=cluster.token,
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    url = virtual.generate_presigned_url("put_object", Params={"Bucket": "by-host", "Key": "k"})
    assert url.startswith(f"http://by-host.localhost:{port}/k?")
    here = url.replace(f"by-host.localhost:{port}", f"127.0.0.1:{port}")  # not every machine resolves *.localhost
    answer = requests.put(here, data=b"x", headers={"Host": f"by-host.localhost:{port}"}, timeout=10)
    assert answer.status_code == 200, answer.text
    assert modern.get_object(Bucket="by-host", Key="k")["Body"].read() == b"x"
