"""What `/network/tasks/{id}/port-forward` answers (`reference/qarnot-platform.md` §2.9): inbound rules, by name."""

from __future__ import annotations

from typing import Any

from qarnot_local.runtime.network_rules import NetworkRule, inbound
from qarnot_local.runtime.tasks import Instance, OpenForward, Task


def port_forwards(task: Task) -> dict[str, Any]:
    """By instance; of the rules, those that are open now. The SSH port of a profile is none of them."""
    rules = inbound(task.definition["forcedNetworkRules"])
    return {str(instance.number): _of_instance(instance, rules) for instance in task.instances}


def _of_instance(instance: Instance, rules: list[NetworkRule]) -> dict[str, Any]:
    forwards = {forward.application_port: forward for forward in instance.forwards}
    return {rule.name: _answer(rule, forwards[rule.port]) for rule in rules if rule.port in forwards}


def _answer(rule: NetworkRule, forward: OpenForward) -> dict[str, Any]:
    return {
        "name": rule.name,
        "enabled": True,
        "applicationType": rule.given.get("applicationType") or "",
        "proto": rule.given.get("proto") or "tcp",
        "port": rule.port,
        "allowedIPs": rule.given.get("to") or "127.0.0.1/32",
        "access": {"publicHost": forward.host, "publicPort": forward.port},
    }
