"""A real nginx in front of a dashboard: TLS ends there, and the page lives under a path of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.ports import free_port
from support.waiting import wait_until

# As docs/deploy.md has it; `{headers}` is what a test leaves out or adds.
_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen 127.0.0.1:{port} {tls};
        {certificate}
        {locations}
    }}
}}
"""
_LOCATION = """
        location {path} {{
            proxy_pass {target};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 1h;
            client_max_body_size 0;
            {headers}
        }}
"""
FORWARDED = """
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
"""
NO_HOST = "proxy_set_header X-Forwarded-Proto $scheme;"


@contextlib.contextmanager
def nginx(folder: Path, targets: dict[str, str], *, headers: str = FORWARDED, tls: bool = True) -> Iterator[str]:
    """Run nginx for the block.

    Arguments:
        folder: for its files.
        targets: where each path leads, as `proxy_pass` takes it.
        headers: directives that set what the server is told.
        tls: whether browsers speak HTTPS to it, with a certificate that nobody has signed.

    Yields:
        The address of its root, without the slash at its end.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    assert program, "no nginx on this machine: apt-get install nginx-light"
    port = free_port()
    certificate = _certificate(folder) if tls else ""
    locations = "".join(_LOCATION.format(path=path, target=target, headers=headers) for path, target in targets.items())
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            user="user root;" if os.geteuid() == 0 else "",
            tls="ssl" if tls else "",
            certificate=certificate,
            locations=locations,
        )
    )
    process = subprocess.Popen([program, "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")])
    try:
        wait_until((folder / "nginx.pid").exists, "nginx to listen")
        yield f"http{'s' if tls else ''}://localhost:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def _certificate(folder: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return f"ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;"
