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


_CLUSTER = {"DOCKER_CMD_MASTER": ("", "Command of instance 0"), "DOCKER_CMD_WORKER": ("", "Command of the others")}

# Software that is not on this machine: its tasks start and, on `-ssh` profiles, stay for visitors (§3.1, §3.4).
_SOFTWARE = "blender openfoam openfoam-foundation fds code-aster starccm-qarnot auto-sklearn-cluster"
_SOFTWARE_SSH = "openfoam-ssh openfoam-foundation-ssh code-aster-ssh starccm-qarnot-ssh"

PROFILES = {
    profile.name: profile
    for profile in (
        Profile("docker-batch", _DOCKER),
        Profile("docker-network", _DOCKER),
        Profile("docker-network-ssh", _DOCKER | _SSH, forwards=True),
        Profile("docker-cluster", _DOCKER | _CLUSTER),
        Profile("docker-cluster-network", _DOCKER | _CLUSTER),
        Profile("docker-cluster-network-ssh", _DOCKER | _CLUSTER | _SSH, forwards=True),
        Profile("jupyterlab", _DOCKER | _JUPYTERLAB | _SSH, forwards=True),
        *(Profile(name, _DOCKER) for name in _SOFTWARE.split()),
        *(Profile(name, _DOCKER | _SSH, forwards=True) for name in _SOFTWARE_SSH.split()),
    )
}
