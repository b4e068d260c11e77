"""A session that begins with a record of Zenodo: a server of this machine plays the resolver of DOIs, and Zenodo."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping

import pytest
from support.command import CommandLine
from support.waiting import wait_until
from support.web_server import WebServer, web_server

DOI = "10.5281/zenodo.3242074"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server(redirects={DOI: "/doi/x", "doi/x": "/records/3242075"}) as server:
        server.files["records/3242075"] = b"<html>"
        yield server


@pytest.fixture
def cli(cli: CommandLine, server: WebServer) -> CommandLine:
    return cli.with_environment(RUN_QARNOT_DOI_URL=server.address.rstrip("/"))


def publish(server: WebServer, files: Mapping[str, bytes], **wrong: object) -> None:
    entries = []
    for name, content in files.items():
        server.files[f"api/records/3242075/files/{name}/content"] = content
        links = {"self": server.url(f"api/records/3242075/files/{name}/content")}
        checksum = f"md5:{hashlib.md5(content).hexdigest()}"
        entries.append({"key": name, "size": len(content), "checksum": checksum, "links": links, **wrong})
    server.files["api/records/3242075"] = json.dumps({"id": 3242075, "files": entries}).encode()


def archive(files: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return stream.getvalue()


def printed(cli: CommandLine, name: str, git: str, command: str) -> str:
    cli("launch", "command", "--name", name, "--git", git, "--set", f"command={command}")
    wait_until(lambda: cli("show", name, "--json").json["state"] == "ended", "the end", 60)
    return cli("logs", name).out


def test_the_files_of_a_record_come_along(cli: CommandLine, server: WebServer) -> None:
    publish(server, {"data.csv": b"a,b\n", "model.bin": b"\0" * 1000})
    assert "1004" in printed(cli, "record", f"https://doi.org/{DOI}", "cat zenodo-3242074/* | wc -c")


def test_a_release_is_unpacked_and_its_packages_are_known(cli: CommandLine, server: WebServer) -> None:
    files = {"team-project-abc/main.py": "print('of zenodo')", "team-project-abc/requirements.txt": "moo\n"}
    publish(server, {"project-v1.zip": archive(files)})
    log = printed(
        cli, "release", f"doi:{DOI}", "python3 zenodo-3242074/main.py; cat requirements.txt; ls zenodo-3242074"
    )
    assert "of zenodo" in log
    assert "-r zenodo-3242074/requirements.txt" in log
    assert "project-v1.zip" not in log


@pytest.mark.parametrize(
    ("files", "wrong", "said"),
    [
        ({}, {}, "has no files that are open to everybody"),
        ({"data.csv": b"a"}, {"checksum": f"md5:{32 * '0'}"}, "“data.csv” did not come as Zenodo describes it."),
        ({"data.csv": b"a"}, {"size": 10**12}, "has more than 500 MB"),
        ({"data.csv": b"a"}, {"links": {"self": "file:///etc/passwd"}}, "leads to no record of Zenodo"),
        ({"../data.csv": b"a"}, {}, "cannot be stored safely"),
        ({"a.zip": archive({"../../evil": "x"})}, {}, "cannot be stored safely"),
        ({"a.zip": b"PK nothing"}, {}, "it is no archive that can be read"),
    ],
)
def test_what_is_wrong_with_a_record_starts_nothing(
    cli: CommandLine, server: WebServer, files: Mapping[str, bytes], wrong: Mapping[str, object], said: str
) -> None:
    publish(server, files, **wrong)
    done = cli("launch", "command", "--git", DOI, "--set", "command=true", expect=1)
    assert said in done.err
    assert cli("sessions", "--json").json == []


def test_a_doi_that_leads_elsewhere_or_nowhere(cli: CommandLine, server: WebServer) -> None:
    server.redirects["doi/x"] = "/articles/1"
    server.files["articles/1"] = b"<html>"
    launch = ("launch", "command", "--set", "command=true", "--git")
    assert "leads to no record of Zenodo" in cli(*launch, DOI, expect=1).err
    assert "There is no file at http://127.0.0.1" in cli(*launch, "10.5281/zenodo.1", expect=1).err
