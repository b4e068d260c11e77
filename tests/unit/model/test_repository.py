"""From where a repository may come: an address from a link is fetched by whoever opens it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_qarnot.catalog.image import Image
from run_qarnot.core.errors import InputError
from run_qarnot.model.repository import Repository, check_open, parse_repository
from run_qarnot.model.spec import SessionSpec

URL = "https://github.com/team/project"
LAB = Image(id="lab", repo="qarnotlab/jupyterlab-base")


@pytest.mark.parametrize(
    ("text", "url", "ref"),
    [
        (URL, URL, ""),
        (f" {URL}.git@main ", f"{URL}.git", "main"),
        (f"{URL}@feature/more", URL, "feature/more"),
        (f"{URL}@v1.0", URL, "v1.0"),
        (f"{URL}@{'0a' * 20}", URL, "0a" * 20),
        ("https://gitlab.example.org:8443/a/b/c.git", "https://gitlab.example.org:8443/a/b/c.git", ""),
        ("http://127.0.0.1:8000/project", "http://127.0.0.1:8000/project", ""),
        ("http://localhost/project@x", "http://localhost/project", "x"),
    ],
)
def test_an_address_and_what_of_it(text: str, url: str, ref: str) -> None:
    assert parse_repository(text) == Repository(url, ref)
    assert str(parse_repository(text)) == (f"{url}@{ref}" if ref else url)


@pytest.mark.parametrize(
    "text",
    [
        "10.5281/zenodo.42",
        "doi:10.5281/zenodo.42",
        " https://doi.org/10.5281/ZENODO.42",
        "http://dx.doi.org/10.5281/zenodo.42",
    ],
)
def test_a_record_of_zenodo_is_named_by_its_doi(text: str) -> None:
    found = parse_repository(text)
    assert found == Repository("https://doi.org/10.5281/zenodo.42")
    assert (found.doi, found.folder) == ("10.5281/zenodo.42", "zenodo-42")
    assert Repository(URL).doi == ""


@pytest.mark.parametrize("text", ["10.1000/182", "doi:10.5281/zenodo.x", "10.5281/zenodo.42/../x"])
def test_another_doi_is_no_repository(text: str) -> None:
    with pytest.raises(InputError):
        parse_repository(text)


def test_what_came_along_is_known_in_the_next_run_and_can_be_updated() -> None:
    repository = Repository(URL)
    assert SessionSpec(LAB, "x", 1, repository=repository).repository_folder == "project"
    following = SessionSpec(LAB, "x", 1, brought="project", update=True)
    assert list(following.blockers()) == []
    assert [each.code for each in SessionSpec(LAB, "x", 1, update=True).blockers()] == ["update-nothing"]
    web = Image(id="web", repo="a/b", app="web", port=80)
    assert [each.code for each in SessionSpec(web, "x", 1, brought="p", update=True).blockers()] == ["update-unknown"]


def test_a_ref_of_its_own_wins() -> None:
    assert parse_repository(URL, "main") == Repository(URL, "main")
    assert parse_repository("", "main") is None


@pytest.mark.parametrize(
    "text",
    [
        "http://github.com/team/project", "file:///etc/passwd", "ssh://git@github.com/team/project", "git://x/y",
        "git@github.com:team/project.git", "ext::sh -c touch% /tmp/x", "-u/x", "--upload-pack=touch /tmp/x", "/etc",
        "https://", "https://github.com", "https://github.com/", "https://github.com/a b", f"{URL}?x=1", f"{URL}#x",
        "https://me:secret-of-the-test@github.com/team/project", "https://secret-of-the-test@github.com/team/project",
        "http://127.0.0.1.example.org/x", "http://10.0.0.1/x", "https://[::1/x", "https://x:99999/y", "github.com/a/b",
        "https://exa\u0000mple.org/x", "https://b\u00fccher.example/x", f"https://x/{'y' * 3000}",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_repository_is_refused_in_two_lines(text: str) -> None:
    with pytest.raises(InputError, match="is not the address of a git repository") as error:
        parse_repository(text)
    assert error.value.field == "git"
    assert "secret-of-the-test" not in str(error.value)


REFS = ("-x", "--upload-pack=x", "a..b", "a b", "x.lock", "a//b", "a/", "@{1}", "a\nb", "x" * 201)


@pytest.mark.parametrize("ref", REFS)
def test_what_is_no_ref_is_refused(ref: str) -> None:
    with pytest.raises(InputError, match="cannot be a branch, tag or commit"):
        parse_repository(URL, ref)


@given(st.text())
def test_whatever_is_typed_is_understood_or_refused(text: str) -> None:
    try:
        found = parse_repository(text)
    except InputError:
        return
    assert found is None or found.url.startswith(("https://", "http://"))


@pytest.mark.parametrize(
    ("url", "folder"),
    [(URL, "project"), (f"{URL}.git/", "project"), ("https://x/a%20b", "a-b"), ("https://x/.git", "repository"),
     ("https://x/..", "repository"), ("https://x/%2e%2e%2f%2e%2e", "repository"), ("https://x/-rf", "rf")],
)  # fmt: skip
def test_it_comes_into_a_folder_of_its_name(url: str, folder: str) -> None:
    assert Repository(url).folder == folder


def test_the_token_is_shown_by_nothing() -> None:
    found = parse_repository(URL, token=" token-of-the-test ")
    assert found is not None
    assert found.token == "token-of-the-test"
    assert "token-of-the-test" not in f"{found!r} {found}"


def test_jupyterlab_opens_a_file_of_the_repository_or_its_folder_and_other_apps_nothing() -> None:
    spec = SessionSpec(LAB, "x", 1, repository=Repository(URL), open="/notebooks/first.ipynb")
    assert spec.opened == "project/notebooks/first.ipynb"
    assert SessionSpec(LAB, "x", 1, repository=Repository(URL)).opened == "project"
    assert SessionSpec(LAB, "x", 1, open="a.ipynb").opened == "a.ipynb"
    assert SessionSpec(LAB, "x", 1).opened == ""
    assert SessionSpec(Image(id="w", app="web", repo="a/b"), "x", 1, repository=Repository(URL)).opened == ""


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a\\b", "a\nb", "x" * 2001])
def test_what_leads_elsewhere_is_not_opened(path: str) -> None:
    with pytest.raises(InputError, match="is not a path in the session"):
        check_open(path)
    with pytest.raises(InputError, match="is not a path in the session"):
        SessionSpec(LAB, "x", 1, open=path).checked()
