"""The S3 side (`reference/qarnot-platform.md` §4): moto's server on a thread of ours, and direct access for tasks."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import S3Backend, s3_backends

from run_qarnot.cluster.signatures import is_signed
from run_qarnot.cluster.storage_disk import Disk
from run_qarnot.cluster.storage_read import read_object
from run_qarnot.cluster.storage_server import Server

_Environ = dict[str, Any]
_StartResponse = Callable[..., Any]
_REGION = re.compile(r"(Credential=[^,\s]+/\d{8}/)[^/]+(/s3/aws4_request)")


@dataclass(frozen=True)
class StoredObject:
    bucket: str
    key: str
    etag: str
    size: int


class Storage:
    """Buckets and objects. Each instance has its own account inside moto, whose state is global to the process."""

    def __init__(self, access_key: str, secret: str, folder: Path | None = None) -> None:
        self._account = f"{random.randrange(10**11, 10**12)}"  # noqa: S311 - a name, not a secret
        self._disk = Disk(folder, self._backend) if folder else None
        application = _Door(access_key, secret, self._account, self._disk)
        self._server = Server(application)
        self._thread = threading.Thread(target=self._server.serve_forever, name="cluster-storage", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.port}"

    @property
    def _backend(self) -> S3Backend:
        backend: S3Backend = s3_backends[self._account]["aws"]
        return backend

    def start(self) -> None:
        if self._disk:
            self._disk.load()
        self._thread.start()

    def stop(self) -> None:
        self._server.stop()
        self._thread.join()
        backend = self._backend
        for name, bucket in list(backend.buckets.items()):
            s3_backends.bucket_accounts.pop(name, None)
            for key in bucket.keys.values():
                with contextlib.suppress(AttributeError):  # a delete marker has nothing to dispose of
                    key.dispose()
        backend.buckets.clear()
        s3_backends.pop(self._account, None)

    def has_bucket(self, name: str) -> bool:
        return name in self._backend.buckets

    def make_bucket(self, name: str) -> None:
        if not self.has_bucket(name):
            self._backend.create_bucket(name, "us-east-1")
            if self._disk:
                self._disk.keep_bucket(name)

    def usage(self) -> tuple[int, int]:
        """How many buckets there are, and how many bytes in them."""
        buckets = list(self._backend.buckets.values())
        return len(buckets), sum(key.size for bucket in buckets for key in list(bucket.keys.values()))

    def objects(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        for name, key in sorted(self._backend.buckets[bucket].keys.items()):
            if name.startswith(prefix):
                yield StoredObject(bucket, name, key.etag, key.size)

    def read(self, stored: StoredObject) -> bytes | None:
        key = self._backend.get_object(stored.bucket, stored.key)
        return key.value if key else None

    def write(self, bucket: str, key: str, path: Path) -> int:
        """Store a file; return its size. As moto does for any upload, the object passes through memory whole."""
        content = path.read_bytes()
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self._backend.put_object(bucket, key, content, etag=etag, disable_notification=True)
        if self._disk:
            self._disk.keep(bucket, key)
        return len(content)


class _Door:
    """What stands between the socket and moto: who are you, which region, what to keep on disk."""

    def __init__(self, access_key: str, secret: str, account: str, disk: Disk | None) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._access_key = access_key
        self._secret = secret
        self._account = account
        self._disk = disk

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/moto-api"):  # moto's own remote control is none of S3
            return _refuse(start_response, "404 Not Found", "NoSuchBucket")
        if environ["REQUEST_METHOD"] != "OPTIONS" and not is_signed(environ, self._access_key, self._secret):
            return _refuse(start_response, "403 Forbidden", "SignatureDoesNotMatch")
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account
        if "HTTP_AUTHORIZATION" in environ:  # any region will do, §0.9
            environ["HTTP_AUTHORIZATION"] = _REGION.sub(r"\1us-east-1\2", environ["HTTP_AUTHORIZATION"])
        if environ["REQUEST_METHOD"] == "PUT" and not path.strip("/").count("/") and not environ["QUERY_STRING"]:
            _ignore_location(environ)
        bucket, _, key = path.encode("latin-1").decode("utf-8", "replace").lstrip("/").partition("/")
        if key and (stored := self._find(bucket, key)):
            pieces = read_object(environ, stored, start_response)
            if pieces is not None:
                return pieces
        response: Iterable[bytes] = self._moto(environ, start_response)
        if self._disk and environ["REQUEST_METHOD"] in {"PUT", "POST", "DELETE"}:
            self._disk.follow(bucket, key)
        return response

    def _find(self, bucket: str, key: str) -> Any:
        found = s3_backends[self._account]["aws"].buckets.get(bucket)
        return found.keys.get(key) if found else None


def _ignore_location(environ: _Environ) -> None:
    """Some clients create buckets in a region called `default`, which moto does not know (§4.1)."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(), "0"


def _refuse(start_response: _StartResponse, status: str, code: str) -> list[bytes]:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
