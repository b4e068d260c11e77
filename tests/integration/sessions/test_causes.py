"""Each cause of a refusal, provoked: what is said is what is wrong, and what to do about that."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.command import Answer, CommandLine
from support.hostile import HostileProxy, answer, says
from support.ports import free_port

from qarnot_local import LocalCluster
from run_qarnot.cloud.api import Cloud
from run_qarnot.core.errors import InputError, RefusedError
from run_qarnot.model.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def cli(calm: LocalCluster, tmp_path: Path) -> CommandLine:
    return CommandLine.of_account(calm, tmp_path)


def said(cli: CommandLine, code: int, **environment: str) -> str:
    """Run a command that asks the cluster; return what it says, which is two lines."""
    found: Answer = cli.with_environment(**environment)("sessions", expect=code)
    assert len(found.err.splitlines()) == 2, found.err
    assert "fault of Run Qarnot" not in found.err
    assert "quota" not in found.err
    return found.err


@contextlib.contextmanager
def tls(folder: Path, *, host: str = "127.0.0.1", days: int = 1) -> Iterator[str]:
    """A server with a certificate that it signed itself; yields its address."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(days=9)).not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    own = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(own)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as secure:
                    secure.recv(10_000)
                    secure.sendall(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "", "not a certificate"])
def test_a_stale_bundle_of_certificates(cli: CommandLine, name: str, content: str | None) -> None:
    path = cli.folder / "bundle.pem"
    if content is not None:
        path.write_text(content)
    words = said(cli, 1, **({"REQUESTS_CA_BUNDLE": ""} | {name: str(path)}))
    assert f"{name} is set to “{path}”, which cannot be read as certificates." in words
    assert "Name an existing file, or remove the variable." in words


def test_certificates(cli: CommandLine, tmp_path: Path) -> None:
    with tls(tmp_path) as url:
        words = said(cli, 3, QARNOT_CLUSTER_URL=url)
        assert (
            f"The certificate of {url} is not accepted: it is not signed by an authority that this machine trusts."
            in words
        )
        assert "REQUESTS_CA_BUNDLE" in words
        words = said(cli, 1, QARNOT_CLUSTER_URL=url, REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"))
        assert "does not accept this token" in words
        words = said(cli, 1, QARNOT_CLUSTER_URL=url, QARNOT_CLUSTER_UNSAFE="true")
        assert "does not accept this token" in words
    with tls(tmp_path, host="127.0.0.9") as url:
        words = said(cli, 3, QARNOT_CLUSTER_URL=url, REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"))
        assert "it is for another host" in words
    with tls(tmp_path, days=-1) as url:
        words = said(cli, 3, QARNOT_CLUSTER_URL=url, REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"))
        assert "it has expired" in words


def test_tls_where_there_is_none(cli: CommandLine, calm: LocalCluster) -> None:
    words = said(cli, 3, QARNOT_CLUSTER_URL=calm.cluster_url.replace("http:", "https:"))
    assert "it does not use TLS; the address may have to begin with http://" in words


def test_nobody_there(cli: CommandLine) -> None:
    assert "nothing listens there" in said(cli, 3, QARNOT_CLUSTER_URL=f"http://127.0.0.1:{free_port()}")
    assert "there is no such host" in said(cli, 3, QARNOT_CLUSTER_URL="http://nobody.invalid")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_a_socks_proxy(cli: CommandLine, scheme: str) -> None:
    proxy = f"{scheme}://user:secretsecret@127.0.0.1:1"
    words = said(cli, 1, QARNOT_CLUSTER_URL="http://cluster.example", HTTP_PROXY=proxy, http_proxy=proxy)
    assert f"HTTP_PROXY is set to “{scheme}://…”, which is a kind of proxy that cannot be used here." in words
    assert "Name an HTTP proxy" in words
    assert "secretsecret" not in words
    storage = "http://storage.example"
    words = said(cli, 1, QARNOT_STORAGE_URL=storage, ALL_PROXY=proxy, all_proxy=proxy)
    assert "ALL_PROXY is set to" in words


def test_proxies(cli: CommandLine, calm: LocalCluster) -> None:
    closed = f"http://127.0.0.1:{free_port()}"
    words = said(cli, 3, QARNOT_CLUSTER_URL="https://cluster.example", HTTPS_PROXY=closed)
    assert "The proxy of this network does not reach https://cluster.example: nothing listens there." in words
    assert "NO_PROXY" in words
    with HostileProxy(calm.cluster_url) as proxy:
        proxy.trouble("CONNECT", how=says(b"", 407))
        words = said(cli, 3, QARNOT_CLUSTER_URL="https://cluster.example", HTTPS_PROXY=proxy.url)
        assert "it requires a user name and a password" in words
        proxy.trouble("CONNECT", how=says(b"", 403))
        assert "it refuses the request" in said(
            cli, 3, QARNOT_CLUSTER_URL="https://cluster.example", HTTPS_PROXY=proxy.url
        )
    assert not any(line.startswith("AWS_") for line in os.environ if line == "AWS_PROFILE")


STORAGE = [
    (403, "AccessDenied", "storage-forbidden", "may belong to somebody else"),
    (409, "BucketAlreadyExists", "bucket-foreign", "belongs to another account"),
    (403, "InvalidAccessKeyId", "storage-token", "does not accept this account's token"),
    (403, "SignatureDoesNotMatch", "storage-token", "Copy it again"),
    (403, "RequestTimeTooSkewed", "storage-clock", "Set it right"),
    (403, "QuotaExceeded", "quota-bytes", "is full"),
    (400, "TooManyBuckets", "quota-buckets", "as many sessions as it may"),
    (400, "EntityTooLarge", "storage-large", "Split it"),
    (404, "NoSuchBucket", "storage-gone", "no longer in the storage"),
    (400, "InvalidArgument", "storage-refused", "send it to Qarnot's support"),
]


@pytest.mark.parametrize(("status", "cause", "code", "words"), STORAGE, ids=[cause for _, cause, *_ in STORAGE])
def test_what_the_storage_refuses(calm: LocalCluster, status: int, cause: str, code: str, words: str) -> None:
    with HostileProxy(calm.storage_url) as proxy:
        cloud = Cloud(Settings(cluster_url=calm.cluster_url, storage_url=proxy.url), calm.token)
        proxy.trouble("PUT", "/some-bucket", how=answer(status, cause), times=9)
        with pytest.raises((RefusedError, InputError)) as caught:
            cloud.storage.create("some-bucket", "some")
    assert caught.value.code == code
    assert words in str(caught.value)
    assert ("quota" in str(caught.value).lower()) is False
