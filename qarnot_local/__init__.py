"""A Qarnot cluster on this machine: real HTTP, real S3, real SSH, tasks as local processes.

A second, independent reading of Qarnot's API (`reference/qarnot-platform.md`): it imports nothing from the rest of
`run_qarnot`, so that a misunderstanding of the API cannot cancel itself out.

    with LocalCluster() as cluster:
        connection = qarnot.connection.Connection(cluster_url=cluster.cluster_url, client_token=cluster.token)
        cluster.control.preempt(task)  # time and trouble: qarnot_local/control/control.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qarnot_local.control.faults import ControlError
    from qarnot_local.server import ClusterError, LocalCluster

__all__ = ["ClusterError", "ControlError", "LocalCluster"]


def __getattr__(name: str) -> Any:
    """Import the server only when somebody asks for it: it brings FastAPI and moto, about a second."""
    if name in __all__:
        from qarnot_local import server

        return getattr(server, name)
    raise AttributeError(name)
