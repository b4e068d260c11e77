"""Ports of a task that its own network rules open: plain TCP, while it executes (reference §2.2, §2.9).

qarnot_local.runtime.forwards opens them, qarnot_local.api.port_forwards tells of them.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
import requests
from qarnot.connection import Connection
from qarnot.forced_network_rule import ForcedNetworkRule
from support.ports import free_port
from support.tasks import ended, running
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow

# Two instances with servers of the same port on one machine: at two of its addresses.
SERVER = """python3 -c '
import http.server, os, socket
number = int(os.environ["INSTANCE_ID"])
class Server(http.server.HTTPServer):
    address_family = [socket.AF_INET, socket.AF_INET6][number]
server = Server((["127.0.0.1", "::1"][number], {port}), http.server.SimpleHTTPRequestHandler)
open("whose", "w").write(str(number))
print("started", flush=True)
server.serve_forever()'"""


def forwards(task: Any) -> list[Any]:
    task.update(True)
    return [each.active_forward for each in task.status.running_instances_info.per_running_instance_info]


def rules(cluster: LocalCluster, task: Any) -> Any:
    url = f"{cluster.cluster_url}/network/tasks/{task.uuid}/port-forward"
    return requests.get(url, headers={"Authorization": cluster.token}, timeout=10).json()


def test_an_inbound_rule_opens_a_port_of_each_instance(cluster: LocalCluster, connection: Connection) -> None:
    """Written as C# writes it; rules of other kinds open nothing."""
    port = free_port()
    inbound = {"Inbound": True, "Proto": "tcp", "Port": str(port), "Name": "desk", "ApplicationType": "http"}
    others = [{"inbound": True, "proto": "udp", "port": "53"}, {"inbound": False, "proto": "tcp", "publicPort": "443"}]
    body = {
        "name": "desk",
        "profile": "docker-batch",
        "instanceCount": 2,
        "constants": [{"key": "DOCKER_CMD", "value": SERVER.format(port=port)}],
        "forcedNetworkRules": [inbound, *others],
    }
    headers = {"Authorization": cluster.token}
    uuid = requests.post(f"{cluster.cluster_url}/tasks", json=body, headers=headers, timeout=10).json()["uuid"]
    task = connection.retrieve_task(uuid)
    assert [rule.name for rule in task.forced_network_rules] == ["desk", None, None]
    wait_until(lambda: task.stdout().count("started") == 2, "both run")
    wait_until(lambda: all(forwards(task)), "both can be reached")
    found = rules(cluster, task)
    for number, (active,) in enumerate(forwards(task)):
        assert active.application_port == port
        address = f"{active.forwarder_host}:{active.forwarder_port}"
        assert requests.get(f"http://{address}/whose", timeout=10).text == str(number)
        desk = found[str(number)]["desk"]
        assert (desk["applicationType"], desk["proto"], desk["port"], desk["enabled"]) == ("http", "tcp", port, True)
        assert f"{desk['access']['publicHost']}:{desk['access']['publicPort']}" == address
    task.abort()
    assert ended(task) == "Cancelled"
    assert rules(cluster, task) == {"0": {}, "1": {}}
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{address}/whose", timeout=10)


def test_a_rule_does_not_lead_to_another_tasks_port(cluster: LocalCluster, connection: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        task = connection.create_task("empty", "docker-batch", 1)
        task.constants["DOCKER_CMD"] = "sh -c 'echo started; sleep 60'"
        task.forced_network_rules = [ForcedNetworkRule(True, "tcp", port=str(foreign.getsockname()[1]))]
        task.submit()
        running(task)
        wait_until(lambda: forwards(task)[0], "the rule's port is open")
        door = forwards(task)[0][0]
        with socket.create_connection((door.forwarder_host, door.forwarder_port), 10) as ours:
            assert ours.recv(1) == b"", "closed at once"
        task.abort()
        ended(task)
