"""Large files that are added to a session go from a real browser straight to its bucket, if the bucket takes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from qarnot.connection import Connection
from support import servers
from support.command import CommandLine
from support.servers import Server
from support.traffic import COUNT_SENT
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PART = 8 << 20
SIZE = 5 * PART + 12345
NAME = "takes-files"
BUCKET = f"{NAME}-in"
CATALOG = """
schema = 1
[images.waits]
app = "batch"
profile = "docker-batch"
repo = "library/ubuntu"
command = "sleep 1000"
"""

FORBID = """content => {
const policy = document.createElement('meta')
policy.httpEquiv = 'Content-Security-Policy'
policy.content = content
document.head.append(policy)
}"""


@pytest.fixture(scope="module")
def storage(cluster: LocalCluster) -> Any:
    """boto3's client: what does the storage hold?"""
    return Connection(cluster_url=cluster.cluster_url, client_token=cluster.token, show_bucket_warnings=False).s3client


@pytest.fixture(scope="module")
def dashboard(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dashboard whose account has a session that runs."""
    folder = tmp_path_factory.mktemp("direct")
    (folder / "images.toml").write_text(CATALOG)
    cli = CommandLine.of_account(cluster, folder)
    cli("launch", "waits", "--name", NAME, "--hours", 1, "--detach")
    with servers.dashboard(cli) as server:
        yield server


@pytest.fixture
def card(page: Page, dashboard: Server, cluster: LocalCluster, storage: Any) -> Iterator[Locator]:
    """The card of the session, whose bucket is as it was made: empty, and closed to pages."""
    for upload in unfinished(storage):
        storage.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
    for entry in storage.list_objects(Bucket=BUCKET).get("Contents", []):
        storage.delete_object(Bucket=BUCKET, Key=entry["Key"])
    storage.delete_bucket_cors(Bucket=BUCKET)
    cluster.control.reset()
    cluster.control.clear_calls()
    page.add_init_script(COUNT_SENT)
    yield open_card(page, dashboard)
    cluster.control.reset()


def open_card(page: Page, dashboard: Server) -> Locator:
    page.goto(dashboard.address())
    card = page.get_by_test_id(f"session-{NAME}")
    expect(card.get_by_test_id("state")).to_contain_text("Running", timeout=60_000)
    return card


def add(card: Locator, *paths: Path) -> None:
    fold = card.get_by_test_id("add")
    if fold.get_attribute("aria-expanded") == "false":
        fold.click()
    card.get_by_test_id("add-upload").set_input_files(list(paths))


def row(card: Locator, name: str) -> Locator:
    return card.get_by_test_id("add-list").get_by_role("listitem").filter(has_text=name)


def send(card: Locator) -> None:
    card.get_by_test_id("add-send").click()
    expect(card.get_by_test_id("add-list")).to_have_count(0, timeout=60_000)


def make(path: Path, size: int = SIZE) -> Path:
    path.write_bytes(hashlib.shake_256(path.name.encode()).digest(size))
    return path


def held(storage: Any, key: str) -> bytes:
    return bytes(storage.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def unfinished(storage: Any) -> list[Any]:
    return list(storage.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


def arrived(storage: Any) -> int:
    """How many parts the bucket has of unfinished uploads."""
    uploads = unfinished(storage)
    return sum(
        len(storage.list_parts(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", []))
        for upload in uploads
    )


def leave_after_three_parts(page: Page, cluster: LocalCluster, storage: Any) -> None:
    wait_until(lambda: arrived(storage) == 3, "three parts to arrive")
    page.goto("about:blank")
    cluster.control.reset()


def parts_sent(cluster: LocalCluster) -> int:
    return sum(call.route == "s3:UploadPart" and call.status == 200 for call in cluster.control.calls)


def preflights(cluster: LocalCluster) -> list[int | None]:
    return [call.status for call in cluster.control.calls if call.route == "s3:Preflight"]


def test_a_large_file_goes_straight_to_the_bucket(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, tmp_path: Path
) -> None:
    path = make(tmp_path / "large.bin")
    small = make(tmp_path / "small.bin", 1000)
    add(card, path, small)
    expect(row(card, "large.bin")).to_contain_text("42 MB · uploaded", timeout=60_000)
    expect(row(card, "small.bin")).to_contain_text("uploaded")
    assert storage.list_objects(Bucket=BUCKET).get("Contents", []) == [], "nothing is there before it is sent for"
    assert page.evaluate("sent") < 500_000, "the kernel saw none of it"
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()
    assert held(storage, "small.bin") == small.read_bytes()
    assert parts_sent(cluster) == 6
    assert 200 in preflights(cluster)
    rules = storage.get_bucket_cors(Bucket=BUCKET)["CORSRules"]
    origin = page.evaluate("location.origin")
    assert [(rule["AllowedOrigins"], rule["AllowedMethods"]) for rule in rules] == [([origin], ["PUT"])]


def test_where_the_bucket_refuses_pages_files_come_through_the_kernel_and_nobody_is_alarmed(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, tmp_path: Path
) -> None:
    cluster.control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None)
    paths = [make(tmp_path / name) for name in ("first.bin", "second.bin")]
    add(card, *paths)
    for path in paths:
        expect(row(card, path.name)).to_contain_text("uploaded", timeout=60_000)
    assert page.evaluate("sent") > 2 * SIZE
    expect(card.get_by_role("alert")).to_have_count(0)
    assert preflights(cluster) == [403], "tried once, and not for each file"
    assert arrived(storage) == 12, "they did not wait in the kernel"
    send(card)
    for path in paths:
        assert held(storage, path.name) == path.read_bytes()


def test_a_file_that_comes_through_the_kernel_goes_on_where_the_bucket_failed(
    card: Locator, cluster: LocalCluster, storage: Any, tmp_path: Path
) -> None:
    cluster.control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None)
    cluster.control.fail_next("PUT", "s3:UploadPart", status=503, code="SlowDown", times=None, skip=3)
    path = make(tmp_path / "large.bin")
    add(card, path)
    again = row(card, "large.bin").get_by_role("button", name="Try again large.bin")
    expect(again).to_be_visible(timeout=60_000)
    cluster.control.reset()
    cluster.control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None)
    cluster.control.clear_calls()
    again.click()
    expect(row(card, "large.bin")).to_contain_text("uploaded", timeout=60_000)
    assert parts_sent(cluster) == 3, "what the bucket had is not sent again"
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()


def test_when_the_bucket_is_slow_the_browser_waits(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, tmp_path: Path
) -> None:
    """Else all of a large file would lie in the kernel's memory."""
    cluster.control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None)
    cluster.control.delay("s3:UploadPart", 0.5)
    waiting = []

    def is_all_there() -> bool:
        stored = arrived(storage)
        waiting.append(page.evaluate("sent") - stored * PART)
        return stored == 6

    add(card, make(tmp_path / "large.bin"))
    wait_until(is_all_there, "all parts to arrive")
    assert 2 * PART < max(waiting) < 4 * PART


def test_a_file_whose_parts_the_bucket_has_otherwise_waits_in_the_kernel(
    card: Locator, cluster: LocalCluster, storage: Any, tmp_path: Path
) -> None:
    cluster.control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None)
    cluster.control.delay("s3:UploadPart", 1, times=6)  # all of the file, and not what comes between
    path = make(tmp_path / "large.bin")
    add(card, path)
    wait_until(lambda: arrived(storage) > 0, "a part to arrive")
    (upload,) = unfinished(storage)
    storage.upload_part(Bucket=BUCKET, Key="large.bin", UploadId=upload["UploadId"], PartNumber=1, Body=bytes(PART))
    expect(row(card, "large.bin")).to_contain_text("uploaded", timeout=60_000)
    assert arrived(storage) == 0
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()


@pytest.mark.parametrize(
    "policy", ["script-src 'self' 'unsafe-inline' blob:", "worker-src 'none'"], ids=["no-webassembly", "no-worker"]
)
def test_where_a_page_cannot_hash_files_come_through_the_kernel(
    page: Page, card: Locator, storage: Any, tmp_path: Path, policy: str
) -> None:
    page.evaluate(FORBID, policy)
    path = make(tmp_path / "large.bin")
    add(card, path)
    expect(row(card, "large.bin")).to_contain_text("uploaded", timeout=60_000)
    assert page.evaluate("sent") > SIZE
    expect(card.get_by_role("alert")).to_have_count(0)
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()


def test_a_lost_connection_costs_nothing_and_what_arrived_is_not_sent_again(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, tmp_path: Path
) -> None:
    path = make(tmp_path / "large.bin")
    cluster.control.fail_next("PUT", "s3:UploadPart", how="reset", after_bytes=PART // 2, times=2, skip=2)
    cluster.control.fail_next("PUT", "s3:UploadPart", how="lost answer", skip=2)
    add(card, path)
    expect(row(card, "large.bin")).to_contain_text("uploaded", timeout=60_000)
    cluster.control.check()
    assert page.evaluate("sent") < 500_000, "it stayed on its way"
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()


def test_after_a_reload_the_same_file_goes_on_where_it_stopped(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, dashboard: Server, tmp_path: Path
) -> None:
    path = make(tmp_path / "large.bin")
    cluster.control.fail_next("PUT", "s3:UploadPart", how="timeout", times=None, skip=3)
    add(card, path)
    leave_after_three_parts(page, cluster, storage)
    card = open_card(page, dashboard)
    expect(row(card, "large.bin")).to_contain_text("Choose it again")
    cluster.control.clear_calls()
    add(card, path)
    expect(row(card, "large.bin")).to_contain_text("42 MB · uploaded", timeout=60_000)
    assert parts_sent(cluster) == 3
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()
    assert arrived(storage) == 0


def test_another_file_of_the_same_name_and_size_is_no_mixture(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, dashboard: Server, tmp_path: Path
) -> None:
    path = make(tmp_path / "large.bin")
    cluster.control.fail_next("PUT", "s3:UploadPart", how="timeout", times=None, skip=3)
    add(card, path)
    leave_after_three_parts(page, cluster, storage)
    content = bytearray(path.read_bytes())
    content[7] ^= 1  # in the first part, which is sent before all others
    path.write_bytes(content)
    card = open_card(page, dashboard)
    cluster.control.clear_calls()
    add(card, path)
    expect(row(card, "large.bin")).to_contain_text("uploaded", timeout=60_000)
    assert parts_sent(cluster) == 4, "the changed part and those that were missing"
    send(card)
    assert held(storage, "large.bin") == bytes(content)


def test_a_file_can_be_cancelled_and_one_that_was_left_unfinished_removed(
    page: Page, card: Locator, cluster: LocalCluster, storage: Any, dashboard: Server, tmp_path: Path
) -> None:
    path = make(tmp_path / "large.bin")
    cluster.control.delay("s3:UploadPart", 0.5)
    add(card, path)
    expect(row(card, "large.bin")).to_contain_text(re.compile(r"MB / 42 MB · .*/s · .* left"))
    row(card, "large.bin").get_by_role("button", name="Cancel large.bin").click()
    expect(card.get_by_test_id("add-list")).to_have_count(0)
    wait_until(lambda: not unfinished(storage), "its parts to be freed")
    cluster.control.reset()
    begun = storage.create_multipart_upload(Bucket=BUCKET, Key="left.bin")["UploadId"]
    storage.upload_part(Bucket=BUCKET, Key="left.bin", UploadId=begun, PartNumber=1, Body=bytes(PART))
    card = open_card(page, dashboard)
    row(card, "left.bin").get_by_role("button", name="Remove left.bin").click()
    expect(card.get_by_test_id("add-list")).to_have_count(0)
    wait_until(lambda: not unfinished(storage), "what was left to be freed")


def test_a_name_that_the_bucket_has_is_asked_about(card: Locator, storage: Any, tmp_path: Path) -> None:
    storage.put_object(Bucket=BUCKET, Key="large.bin", Body=b"older")
    path = make(tmp_path / "large.bin")
    add(card, path)
    expect(row(card, "large.bin")).to_contain_text("uploaded", timeout=60_000)
    card.get_by_test_id("add-send").click()
    expect(card.get_by_test_id("add-error")).to_contain_text("large.bin")
    assert held(storage, "large.bin") == b"older"
    card.get_by_label("Replace").check()
    send(card)
    assert held(storage, "large.bin") == path.read_bytes()
