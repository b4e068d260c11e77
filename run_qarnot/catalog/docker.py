"""Names of docker images: `registry/repository:tag@digest`. An entry of the catalog has a key for each part.

The grammar is that of `distribution/reference` (https://github.com/distribution/reference). What Qarnot accepts is in
`reference/qarnot-platform.md` §3.4: the repository, official images as `library/NAME`, and the registry as an address.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from run_qarnot.catalog.options import fault
from run_qarnot.catalog.problem import show_value
from run_qarnot.core.messages import Message

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
REPO = rf"{_COMPONENT}(?:/{_COMPONENT})*"
REGISTRY = rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?"
_LONGEST = 255
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
_HUB_PAGE = re.compile(r"hub\.docker\.com/(?:r/|_/|layers/|repository/docker/)?", re.IGNORECASE)
_BEFORE = re.compile(r"^(?:docker\s+pull\s+)?(?:(?:[a-z][a-z0-9+.-]*:)?//)?", re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LIBRARY = "library/"  # where Docker Hub keeps the official images


class Reference(NamedTuple):
    """The parts of an image's name; each but `repo` may be empty. An empty registry is Docker Hub."""

    registry: str
    repo: str
    tag: str = ""
    digest: str = ""


def split(text: str) -> Reference:
    """Split a name into its parts; it need not be valid."""
    text, _, digest = text.partition("@")
    start = text.rfind("/") + 1  # a colon before it separates the registry's port
    last, _, tag = text[start:].partition(":")
    first, slash, rest = (text[:start] + last).partition("/")
    if slash and ("." in first or ":" in first or first.lower() == "localhost"):
        return Reference("" if first.lower() in _HUB else first, rest, tag, digest)
    return Reference("", text[:start] + last, tag, digest)


def nearest_repo(text: str) -> str:
    """Return the repository that was probably meant: without scheme, tag, capitals or the path of a web page; "" if
    there is none."""
    text = _BEFORE.sub("", text.strip()).split("?")[0].split("#")[0]
    if page := _HUB_PAGE.match(text):
        text = re.sub(r"/(tags|general|builds)\b.*", "", text[page.end() :])
    registry, repo, *_ = split(re.sub(r"^quay\.io/repository/", "quay.io/", text, flags=re.IGNORECASE))
    repo = re.sub(r"[^a-z0-9._/-]+", "-", repo.lower()).strip("/.-_")
    if repo and not registry and "/" not in repo:
        repo = f"{_LIBRARY}{repo}"
    whole = "/".join(filter(None, (registry.lower(), repo)))
    return whole if _is_right(whole, "") else ""


def repo_fault(text: str, registry: str = "") -> PydanticCustomError | None:
    """Return the error of `repo`, which may begin with its registry; None if it is valid.

    Arguments:
        registry: the value of the key `registry`, if any.
    """
    if _is_right(text, registry):
        return None
    found, near = show_value(text), nearest_repo(text)
    _, _, tag, digest = split(text)
    if _DIGEST.fullmatch(digest):
        return fault("repo-tag", "repo", named="digest", value=digest, found=found, nearest=near)
    if _TAG.fullmatch(tag) and not digest:
        return fault("repo-tag", "repo", named="tag", value=tag, found=found, nearest=near)
    return fault("form", "repo", wanted=Message("form.repo"), found=found, nearest=near)


def registry_fault(text: str) -> PydanticCustomError | None:
    """Return the error of `registry`; None if it is valid."""
    if re.fullmatch(REGISTRY, text):
        return None
    near = _BEFORE.sub("", text.strip()).lower().split("/")[0]
    near = near if re.fullmatch(REGISTRY, near) else ""
    return fault("form", "registry", wanted=Message("form.registry"), found=show_value(text), nearest=near)


def constants(registry: str, repo: str) -> dict[str, str]:
    """Return the task constants that name the repository."""
    inside, path, *_ = split(repo)
    registry = "" if registry in _HUB else registry or inside
    return {"DOCKER_SRV": f"https://{registry}" if registry else "", "DOCKER_REPO": path}


def _is_right(text: str, registry: str) -> bool:
    inside, repo, tag, digest = split(text)
    if tag or digest or len(text) > _LONGEST or (inside and registry) or not re.fullmatch(REPO, repo):
        return False
    if inside:
        return re.fullmatch(REGISTRY, inside) is not None
    return "/" in repo or bool(registry)
