"""The profiles that this cluster offers (`reference/qarnot-platform.md` §3.1): all whose names are known."""

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
_PLAYED = "qarnotlab/jupyterlab-* library/*"  # JupyterLab of this machine, and commands that are run by it
BUNDLED = "jupyter/*-notebook"  # images without an SSH server, to which Run Qarnot brings its own start script
_SSH = {"DOCKER_SSH": ("", "Public SSH key that may connect")}
_JUPYTERLAB = {"DOCKER_REPO": ("qarnotlab/jupyterlab-base", "Docker image repository"), "DOCKER_TAG": ("v1", "Tag")}


@dataclass(frozen=True)
class Profile:
    """A profile.

    Arguments:
        name: as clients give it.
        constants: default value and description by name; tasks see them as variables.
        forwards: port 22 of its tasks can be reached from outside; on a cluster that of instance 0.
        is_cluster: its instances know each other's addresses and share a folder.
        stays: its tasks wait for visitors even if there is nothing to run.
        plays: patterns of the docker repositories that this machine's own programs can stand in for.
    """

    name: str
    constants: dict[str, tuple[str, str]]
    forwards: bool = False
    is_cluster: bool = False
    stays: bool = False
    plays: str = ""

    def answer(self) -> dict[str, Any]:
        """The profile as a GET answers it. `LOCAL_CLUSTER_…` are ours alone: they let a client warn its user."""
        told = {**self.constants, "LOCAL_CLUSTER_IMAGES": (self.plays, "Docker repositories played without containers")}
        bundled = BUNDLED if self.plays else ""
        told["LOCAL_CLUSTER_BUNDLED_IMAGES"] = (bundled, "The same, of those with the start script of Run Qarnot")
        constants = [{"name": name, "value": value, "description": text} for name, (value, text) in told.items()]
        return {"name": self.name, "constants": constants, "licenses": []}


_CLUSTER = {"DOCKER_CMD_MASTER": ("", "Command of instance 0"), "DOCKER_CMD_WORKER": ("", "Command of the others")}

_GENERIC = """docker-batch docker-batch-smt docker-network docker-network-ssh docker-nvidia-batch
docker-nvidia-bi-a6000-batch docker-nvidia-bi-a6000-network-ssh ubuntu"""
_GENERIC_CLUSTER = """docker-cluster docker-cluster-network docker-cluster-network-ssh docker-cluster-roce
docker-cluster-roce-network-ssh"""
# Software that is not on this machine: its tasks start and, where visitors may come, stay for them (§3.1, §3.4).
_SOFTWARE = """abaqus ansys-mechanical-e-corp auto-sklearn-cluster blender code-aster fds fds-non-cluster guerilla-v2
houdini meshroom openfoam openfoam-foundation starccm-qarnot"""
_VISITED_SOFTWARE = """altair-hyperworks-qarnot-vnc-wan ansys-fluent-e-corp ansys-fluent-e-corp-vnc
ansys-mechanical-e-corp-vnc code-aster-ssh fds-non-cluster-vnc-ssh fds-vnc fds-vnc-ssh ls-dyna-multislots-qarnot-vnc
ls-dyna-qarnot-vnc-wan openfoam-foundation-ssh openfoam-ssh paraview-web python-wan-vnc starccm-qarnot-ssh"""


def _docker(name: str, constants: dict[str, tuple[str, str]]) -> Profile:
    is_visited = name.endswith("-ssh")
    constants = constants | _SSH if is_visited else constants
    is_cluster = name.startswith("docker-cluster")
    plays = "" if "nvidia" in name else _PLAYED  # there is no GPU that could be played
    return Profile(name, constants, forwards=is_visited, is_cluster=is_cluster, plays=plays)


PROFILES = {
    profile.name: profile
    for profile in (
        *(_docker(name, _DOCKER) for name in _GENERIC.split()),
        *(_docker(name, _DOCKER | _CLUSTER) for name in _GENERIC_CLUSTER.split()),
        Profile("jupyterlab", _DOCKER | _JUPYTERLAB | _SSH, forwards=True, plays=_PLAYED),
        *(Profile(name, _DOCKER) for name in _SOFTWARE.split()),
        *(Profile(name, _DOCKER | _SSH, forwards=True, stays=True) for name in _VISITED_SOFTWARE.split()),
    )
}
