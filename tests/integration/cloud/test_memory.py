"""Any file size, the same memory: a program of its own moves 160 MB, and the kernel says how much it ever needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.command import clean_environment
from support.web_server import web_server

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

SIZE = 160_000_000
MOST_BYTES = 64 << 20

BEGINNING = """
import json, re, resource, sys
from pathlib import Path
from qarnot.connection import Connection
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.model.files import Upload

def memory():
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

bucket, path = sys.argv[1], Path(sys.argv[2])
storage = Storage(Connection(show_bucket_warnings=False).s3client, "")
storage.files(bucket)
before = memory()
"""

MOVES = {
    "upload": "storage.upload(bucket, [Upload(path, 'file.bin')])",
    "upload again": "storage.upload(bucket, [Upload(path, 'file.bin')])",
    "download": "storage.download(bucket, storage.files(bucket), path.parent / 'out')",
    # Slower than the storage: then everything that may be read ahead is.
    "zip": "import time\nfor piece in storage.zip(bucket, storage.files(bucket)): time.sleep(0.0005)",
}


BRING = """
import asyncio
from run_qarnot.engine.client import AsyncStorage
from run_qarnot.engine.web_input import bring, look
from run_qarnot.model.web_file import parse_web_file

async def main():
    global before
    files = await look([parse_web_file(sys.argv[3])])
    before = memory()
    await bring(AsyncStorage(storage), bucket, files, lambda *_: None)

asyncio.run(main())
"""


def test_bringing_160_mb_of_the_web_needs_little_memory(cluster: LocalCluster, direct: Any, bucket: str) -> None:
    environment = clean_environment(QARNOT_CLUSTER_URL=cluster.cluster_url, QARNOT_CLIENT_TOKEN=cluster.token)
    content = os.urandom(1_000_000) * (SIZE // 1_000_000)
    with web_server(files={"data.bin": content}) as server:
        program = f"{BEGINNING}{BRING}\nprint(json.dumps(memory() - before))"
        run = subprocess.run(
            [sys.executable, "-c", program, bucket, "", server.url("data.bin")], env=environment, capture_output=True,
            text=True, check=True,
        )  # fmt: skip
    assert json.loads(run.stdout) < MOST_BYTES
    assert direct.head_object(Bucket=bucket, Key="data.bin")["ContentLength"] == SIZE


def test_moving_160_mb_needs_little_memory(
    cluster: LocalCluster, direct: Any, bucket: str, make_file: Callable[..., Path]
) -> None:
    path = make_file(SIZE)
    environment = clean_environment(QARNOT_CLUSTER_URL=cluster.cluster_url, QARNOT_CLIENT_TOKEN=cluster.token)
    for name, move in MOVES.items():
        program = f"{BEGINNING}{move}\nprint(json.dumps(memory() - before))"
        run = subprocess.run(
            [sys.executable, "-c", program, bucket, str(path)], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert json.loads(run.stdout) < MOST_BYTES, name
    assert direct.head_object(Bucket=bucket, Key="file.bin")["ContentLength"] == SIZE
    assert (path.parent / "out/file.bin").read_bytes() == path.read_bytes()
