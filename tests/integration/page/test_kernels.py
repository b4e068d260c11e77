"""A kernel that is a copy runs code, and ends with the process that was copied."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from support.waiting import wait_until

from run_qarnot.page.kernels import Kernel, Zygote

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[BlockingKernelClient]:
    file, _ = write_connection_file(str(tmp_path / "kernel.json"), transport="ipc", ip=str(tmp_path / "k"))
    made = BlockingKernelClient(connection_file=file)
    made.load_connection_file()
    yield made
    made.stop_channels()


def start(zygote: Zygote, client: BlockingKernelClient, folder: Path) -> Kernel:
    own = {"OF_THIS_KERNEL": "yes", "TMPDIR": str(folder)}
    kernel = zygote.fork(["-f", client.connection_file], {**os.environ, **own}, str(folder))
    client.start_channels()
    client.wait_for_ready(timeout=60)
    return kernel


def evaluate(client: BlockingKernelClient, expression: str) -> str:
    reply = client.execute("", user_expressions={"value": expression}, reply=True, timeout=60)
    return str(reply["content"]["user_expressions"]["value"]["data"]["text/plain"])


def test_it_has_its_own_environment_and_folder_and_everything_loaded(
    zygote: Zygote, client: BlockingKernelClient, tmp_path: Path
) -> None:
    kernel = start(zygote, client, tmp_path)
    assert kernel.ppid() == zygote._process.pid
    assert kernel.poll() is None
    assert evaluate(client, "__import__('os').environ['OF_THIS_KERNEL']") == "'yes'"
    assert evaluate(client, "__import__('os').getcwd()") == repr(str(tmp_path))
    assert evaluate(client, "__import__('tempfile').gettempdir()") == repr(str(tmp_path)), "not that of its parent"
    assert evaluate(client, "'run_qarnot.page.build' in __import__('sys').modules") == "True"
    assert evaluate(client, "__import__('ipywidgets').Button().comm is not None") == "True"
    kernel.kill()
    wait_until(lambda: kernel.poll() == 0, "the kernel to end")


def test_it_ends_with_the_process_that_is_copied(client: BlockingKernelClient, tmp_path: Path) -> None:
    own = Zygote()
    kernel = start(own, client, tmp_path)
    own.close()
    wait_until(lambda: kernel.poll() == 0, "the kernel to end")
    with pytest.raises(ValueError, match="closed file"):
        own.fork([], {}, None)
