"""The profiles that this cluster offers (`reference/qarnot-platform.md` §3.1): only those that do something here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_DOCKER = {
    "DOCKER_SRV": ("https://registry-1.docker.io", "Docker registry to use"),
    "DOCKER_REPO": ("library/ubuntu", "Docker image repository"),
    "DOCKER_TAG": ("latest", "Docker image tag"),
    "DOCKER_CMD": ("", "Command to run inside the container"),
    "DOCKER_USER": ("", "User in the container"),
    "DOCKER_HOST": ("", "Host name in the container"),
    "DOCKER_WORKDIR": ("", "Working directory in the container"),
}
_SSH = {"DOCKER_SSH": ("", "Public SSH key that may connect")}
_JUPYTERLAB = {"DOCKER_REPO": ("qarnotlab/jupyterlab-base", "Docker image repository"), "DOCKER_TAG": ("v1", "Tag")}


@dataclass(frozen=True)
class Profile:
    """`forwards`: port 22 of the task can be reached from outside."""

    name: str
    constants: dict[str, tuple[str, str]]
    forwards: bool = False

    def answer(self) -> dict[str, Any]:
        constants = [
            {"name": name, "value": value, "description": text} for name, (value, text) in self.constants.items()
        ]
        return {"name": self.name, "constants": constants, "licenses": []}


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("docker-batch", _DOCKER),
        Profile("docker-network", _DOCKER),
        Profile("docker-network-ssh", _DOCKER | _SSH, forwards=True),
        Profile("jupyterlab", _DOCKER | _JUPYTERLAB | _SSH, forwards=True),
    )
}
