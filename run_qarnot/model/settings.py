"""What the environment says, read once into a frozen value. The only place that reads `os.environ` for settings."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from run_qarnot.core.errors import InputError
from run_qarnot.core.messages import Message
from run_qarnot.core.redaction import protect
from run_qarnot.model.compat import VARIABLE, Compat, read_compat

CLOUD_URL = "https://api.qarnot.com"
DOI_URL = "https://doi.org"
IMAGES_FILE = "images.toml"
PLUGINS_FOLDER = "plugins"


@dataclass(frozen=True)
class Settings:
    """Where the cluster is, who we are there, and where the catalog lies.

    `token` is left out of the representation, so that printing settings never prints it.
    """

    cluster_url: str = CLOUD_URL
    storage_url: str | None = None
    cluster_unsafe: bool = False
    token: str | None = field(default=None, repr=False)
    images: Path = field(default_factory=lambda: packaged_file(IMAGES_FILE))
    plugins: Path | None = None
    login_token: str | None = field(default=None, repr=False)
    git_token: str | None = field(default=None, repr=False)  # for private repositories, of who types commands
    doi_url: str = DOI_URL  # the resolver of DOIs
    log_config: Path | None = None
    admins: frozenset[str] = frozenset()  # e-mail addresses of accounts; "*" for everybody
    compat: Compat = field(default_factory=Compat)  # what the cluster does otherwise than expected

    def is_admin(self, email: str) -> bool:
        """Whether the page shows this account what only those need who keep catalog and plugins."""
        return bool(self.admins & {"*", email.casefold()})


def read_settings(environment: Mapping[str, str], folder: Path) -> Settings:
    """Read the settings.

    Arguments:
        environment: such as `os.environ`; the SDK's own variables and ours (`design.md` §5).
        folder: where `images.toml` and `plugins/` are looked for when no variable names them.

    Raises:
        InputError: a variable has a value that cannot work.
    """
    token = environment.get("QARNOT_CLIENT_TOKEN", "").strip() or None
    login_token = environment.get("RUN_QARNOT_LOGIN_TOKEN", "").strip() or None
    git_token = environment.get("RUN_QARNOT_GIT_TOKEN", "").strip() or None
    for secret in (token, login_token, git_token):
        if secret:
            protect(secret)
    return Settings(
        cluster_url=_address(environment, "QARNOT_CLUSTER_URL") or CLOUD_URL,
        storage_url=_address(environment, "QARNOT_STORAGE_URL"),
        cluster_unsafe=environment.get("QARNOT_CLUSTER_UNSAFE", "").lower() in {"true", "1"},
        token=token,
        images=_images(environment.get("RUN_QARNOT_IMAGES"), folder),
        plugins=_plugins(environment.get("RUN_QARNOT_PLUGINS"), folder),
        login_token=login_token,
        git_token=git_token,
        doi_url=_address(environment, "RUN_QARNOT_DOI_URL") or DOI_URL,
        log_config=Path(path) if (path := environment.get("RUN_QARNOT_LOG")) else None,
        admins=frozenset(environment.get("RUN_QARNOT_ADMINS", "").casefold().replace(",", " ").split()),
        compat=read_compat(environment.get(VARIABLE, "")),
    )


def check_token(text: str) -> str:
    """Return the Qarnot token in `text`, without what surrounds it, and hide it from all output from now on.

    Arguments:
        text: as it was pasted; spaces, and the invisible marks that some programs copy along, are removed at both ends.

    Raises:
        InputError: it is empty, or it contains characters that no token contains.
    """
    token = text.strip().strip("\u200b\ufeff")
    if not token:
        raise InputError("token-empty", field="token")
    protect(token)
    if re.search(r"\s", token):
        raise InputError("token-shape", field="token", problem=Message("space-or-line-break"))
    if not token.isascii() or not token.isprintable():
        raise InputError("token-shape", field="token", problem=Message("foreign-characters"))
    return token


def packaged_file(name: str) -> Path:
    """Return a file that lives at the top of the repository: in the wheel it travels in `packaged/`."""
    package = Path(str(importlib.resources.files("run_qarnot")))
    packaged = package / "packaged" / name
    return packaged if packaged.exists() else package.parent / name


def _address(environment: Mapping[str, str], name: str) -> str | None:
    value = environment.get(name, "").strip()
    if not value:
        return None
    if not _is_address(value):
        raise InputError(
            "settings", name=name, value=value, problem=Message("no-web-address"), hint=Message("write-address")
        )
    return value.rstrip("/")


def _is_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as half an IPv6 address, or a port that is none
        return False


def _images(named: str | None, folder: Path) -> Path:
    if named:
        return Path(named).expanduser()
    here = folder / IMAGES_FILE
    return here if here.exists() else packaged_file(IMAGES_FILE)


def _plugins(named: str | None, folder: Path) -> Path | None:
    if named:
        return Path(named).expanduser()
    here = folder / PLUGINS_FOLDER
    return here if here.is_dir() else None
