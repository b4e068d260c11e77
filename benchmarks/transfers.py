"""How fast files travel, against boto3 on the same storage: the local cluster's.

    python benchmarks/transfers.py [--runs N] [--megabytes N]        or: make bench

Uploads: what `run-qarnot launch` and `add` do with a file, against boto3's `upload_fileobj`. Results: 1000 objects as
one zip, against reading the same objects with boto3 one after the other. Each is a process of its own, timed from when
it is connected (which both have to be), and its memory is the kernel's high-water mark less what it was at that
moment. They take turns, after one run each that does not count, so that a busy machine slows all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

sys.path.insert(0, str(ROOT / "benchmarks"))

from launch import _write  # noqa: E402

from qarnot_local import LocalCluster  # noqa: E402

UPLOAD_AIM = 0.8  # at least, as a share of boto3's speed
ZIP_AIM = 1.3  # at most, as a multiple of the time of reading
FIRST_BYTE_AIM_SECONDS = 1.0
MEMORY_AIM_MB = 64
OBJECTS = 1000
DEADLINE_SECONDS = 600

# What every measured program begins with: a client made as the SDK makes it, and a clock and a scale that start now.
BEGINNING = """
import asyncio, json, re, sys, time
from pathlib import Path
from qarnot.connection import Connection
from run_qarnot.cloud.s3.client import Storage
from run_qarnot.engine.preparation import upload
from run_qarnot.model.files import Upload

told = []

def memory_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

def end(**more):
    print(json.dumps({"seconds": time.perf_counter() - started, "memory_mb": memory_mb() - before, **more}))

connection = Connection(retry_count=0, show_bucket_warnings=False)
client = connection.s3client
bucket, path = sys.argv[1:]
client.list_objects(Bucket=bucket, MaxKeys=1)
before, started = memory_mb(), time.perf_counter()
"""

PROGRAMS = {
    "boto3 upload": """
with open(path, "rb") as file:
    client.upload_fileobj(file, bucket, "file")
end()
""",
    "our upload": """
asyncio.run(upload(Storage(client, ""), bucket, [Upload(Path(path), "file")], told.append))
end()
""",
    "boto3 reads": """
for page in client.get_paginator("list_objects").paginate(Bucket=bucket):
    for entry in page["Contents"]:
        client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
end()
""",
    "our zip": """
storage, first = Storage(client, ""), None
for piece in storage.zip(bucket, storage.files(bucket)):
    first = first or time.perf_counter() - started
end(first_byte_seconds=first)
""",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Times uploads and zips against boto3.")
    parser.add_argument("--runs", type=int, default=3, help="of each, after one that does not count (default: 3)")
    parser.add_argument("--megabytes", type=int, default=1000, help="that are moved (default: 1000)")
    arguments = parser.parse_args()
    with LocalCluster() as cluster, tempfile.TemporaryDirectory() as folder:
        measure = Measure(cluster, Path(folder), arguments.megabytes * 1_000_000)
        boto, ours = measure.take_turns(arguments.runs, measure.upload("boto3 upload"), measure.upload("our upload"))
        _report("upload", boto, ours, arguments.megabytes)
        measure.fill()
        reads, zips = measure.take_turns(arguments.runs, measure.read("boto3 reads"), measure.read("our zip"))
        _report("zip", reads, zips, arguments.megabytes)
    return 0


Result = dict[str, float]


class Measure:
    """Runs the programs against a cluster."""

    def __init__(self, cluster: Any, folder: Path, size: int, *, bucket: str = "many") -> None:
        from qarnot.connection import Connection

        self._folder = folder
        self._size = size
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "QARNOT_CLUSTER_URL": cluster.cluster_url,
            "QARNOT_STORAGE_URL": cluster.storage_url,
            "QARNOT_CLIENT_TOKEN": cluster.token,
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
        }
        self._client = Connection(cluster_url=cluster.cluster_url, client_token=cluster.token).s3client
        self._client.create_bucket(Bucket=bucket)
        self._bucket = bucket  # of the objects that are read
        self._file = folder / "file"
        with self._file.open("wb") as file:
            for start in range(0, size, 1_000_000):
                file.write(os.urandom(min(1_000_000, size - start)))

    def upload(self, program: str) -> Callable[[], Result]:
        def once() -> Result:
            self._client.create_bucket(Bucket="one")
            result = self._run(program, "one", self._file)
            self._client.delete_object(Bucket="one", Key="file")
            return result

        return once

    def fill(self) -> None:
        """Put the objects into the bucket that is read."""
        with self._file.open("rb") as file:
            for number in range(OBJECTS):
                key, body = f"folder/{number:04}", file.read(self._size // OBJECTS)
                self._client.put_object(Bucket=self._bucket, Key=key, Body=body)

    def read(self, program: str) -> Callable[[], Result]:
        return lambda: self._run(program, self._bucket, self._folder)

    def take_turns(self, runs: int, *measures: Callable[[], Result]) -> list[list[Result]]:
        for measure in measures:
            measure()
        rounds = [[measure() for measure in measures] for _ in range(runs)]
        return [list(column) for column in zip(*rounds, strict=True)]

    def _run(self, program: str, bucket: str, path: Path) -> Result:
        run = subprocess.run(
            [sys.executable, "-c", BEGINNING + PROGRAMS[program], bucket, str(path)],
            env=self._environment, cwd=self._folder, capture_output=True, text=True, check=False,
            timeout=DEADLINE_SECONDS,
        )  # fmt: skip
        if run.returncode:
            raise SystemExit(f"{program} failed:\n{run.stderr}")
        result: Result = json.loads(run.stdout)
        print(f"{program:15} {result['seconds']:6.2f} s, {result['memory_mb']:5.1f} MB more memory")
        return result


def _median(results: list[Result], name: str) -> float:
    return round(statistics.median(result[name] for result in results), 3)


def _all(results: list[Result]) -> list[float]:
    return [round(result["seconds"], 3) for result in results]


def _report(name: str, boto: list[Result], ours: list[Result], megabytes: int) -> None:
    theirs, own = _median(boto, "seconds"), _median(ours, "seconds")
    result: dict[str, Any] = {"megabytes": megabytes, "boto3_seconds": _all(boto), "our_seconds": _all(ours)}
    if name == "upload":
        result |= {"ratio": round(theirs / own, 3), "aim": UPLOAD_AIM}
        print(f"upload: {result['ratio']:.2f} of boto3's speed (aim: at least {UPLOAD_AIM:g})")
    else:
        first = max(each["first_byte_seconds"] for each in ours)
        result |= {"objects": OBJECTS, "ratio": round(own / theirs, 3), "aim": ZIP_AIM}
        result |= {"first_byte_seconds": round(first, 3), "first_byte_aim_seconds": FIRST_BYTE_AIM_SECONDS}
        print(f"zip: {result['ratio']:.2f} of the time of reading (aim: at most {ZIP_AIM:g}), first byte {first:.3f} s")
    memory = max(each["memory_mb"] for each in ours)
    result |= {"memory_mb": round(memory, 1), "memory_aim_mb": MEMORY_AIM_MB}
    print(f"{name}: at most {memory:.1f} MB more memory (aim: {MEMORY_AIM_MB})")
    _write(f"transfers-{name}", result)


if __name__ == "__main__":
    sys.exit(main())
