"""Which pages a browser lets talk to a bucket: those that the bucket's own rules name, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from qarnot.connection import Connection

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

PAGE = "http://localhost:8866"
RULE = {"AllowedMethods": ["PUT"], "AllowedOrigins": [PAGE], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}


@pytest.fixture
def bucket(connection: Connection) -> str:
    connection.s3client.create_bucket(Bucket="asked")
    connection.s3client.delete_bucket_cors(Bucket="asked")
    return "asked"


def allow(connection: Connection, bucket: str, **more: Any) -> None:
    rules = {"CORSRules": [{**RULE, **more}]}
    connection.s3client.put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)


def ask(cluster: LocalCluster, bucket: str, method: str = "PUT", origin: str = PAGE, headers: str = "") -> Any:
    """The question that a browser asks before it sends."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    sent = {name: value for name, value in asked.items() if value}
    return requests.options(f"{cluster.storage_url}/{bucket}/x", headers=sent, timeout=10)


def cors(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith("access-control-")}


def test_without_rules_every_page_is_refused(cluster: LocalCluster, connection: Connection, bucket: str) -> None:
    with pytest.raises(ClientError, match="NoSuchCORSConfiguration"):
        connection.s3client.get_bucket_cors(Bucket=bucket)
    for name in (bucket, "no-such-bucket"):
        answer = ask(cluster, name)
        assert (answer.status_code, cors(answer.headers)) == (403, {})
    url = connection.s3client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "x"})
    answer = requests.put(url, data=b"abc", headers={"Origin": PAGE}, timeout=10)
    assert (answer.status_code, cors(answer.headers)) == (200, {}), "who has an address may use it, but reads no answer"


def test_a_page_that_is_named_may_do_what_is_named(cluster: LocalCluster, connection: Connection, bucket: str) -> None:
    allow(connection, bucket)
    answer = ask(cluster, bucket)
    assert answer.status_code == 200
    assert cors(answer.headers) == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-methods": "PUT",
        "access-control-expose-headers": "ETag",
        "access-control-max-age": "60",
    }
    assert ask(cluster, bucket, method="DELETE").status_code == 403
    assert ask(cluster, bucket, origin="http://elsewhere.example").status_code == 403
    assert ask(cluster, bucket, headers="content-md5").status_code == 403
    url = connection.s3client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "x"})
    for address, status in ((url, 200), (f"{cluster.storage_url}/{bucket}/x", 403)):
        answer = requests.put(address, data=b"abc", headers={"Origin": PAGE}, timeout=10)
        assert answer.status_code == status
        assert cors(answer.headers)["access-control-allow-origin"] == PAGE, "errors can be read too"
    assert cors(requests.get(url, headers={"Origin": PAGE}, timeout=10).headers) == {}


def test_stars_stand_for_anything(cluster: LocalCluster, connection: Connection, bucket: str) -> None:
    allow(connection, bucket, AllowedOrigins=["https://*.example"], AllowedHeaders=["x-amz-*"])
    answer = ask(cluster, bucket, origin="https://a.example", headers="X-Amz-Date, x-amz-acl")
    assert cors(answer.headers)["access-control-allow-headers"] == "x-amz-date,x-amz-acl"
    assert ask(cluster, bucket, origin="http://a.example").status_code == 403
    allow(connection, bucket, AllowedOrigins=["*"])
    assert cors(ask(cluster, bucket, origin="http://any").headers)["access-control-allow-origin"] == "*"


def test_a_large_object_is_not_for_every_page_either(
    cluster: LocalCluster, connection: Connection, bucket: str
) -> None:
    """Large objects and ranges are not answered by moto."""
    connection.s3client.put_object(Bucket=bucket, Key="large", Body=bytes(2 << 20))
    url = connection.s3client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "large"})
    assert cors(requests.get(url, headers={"Origin": PAGE}, timeout=10).headers) == {}
    allow(connection, bucket, AllowedMethods=["GET"])
    assert cors(requests.get(url, headers={"Origin": PAGE}, timeout=10).headers)["access-control-allow-origin"] == PAGE
