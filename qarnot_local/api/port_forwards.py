"""What `/network/tasks/{id}/port-forward` answers (`reference/qarnot-platform.md` §2.9): inbound rules by name."""

from __future__ import annotations

from qarnot_local.runtime.network_rules import NetworkRule, inbound
from qarnot_local.runtime.tasks import Instance, OpenForward, Task
from qarnot_local.wire import View


def port_forwards(task: Task) -> View:
    """The open rules of each instance. The SSH port of a profile is not one of them."""
    rules = inbound(task.definition.forced_network_rules)
    return {str(instance.number): _of_instance(instance, rules) for instance in task.instances}


def _of_instance(instance: Instance, rules: list[NetworkRule]) -> View:
    forwards = {forward.application_port: forward for forward in instance.forwards}
    return {rule.name: _answer(rule, forwards[rule.port]) for rule in rules if rule.port in forwards}


def _answer(rule: NetworkRule, forward: OpenForward) -> View:
    return {
        "name": rule.name,
        "enabled": True,
        "applicationType": rule.given.application_type or "",
        "proto": rule.given.proto or "tcp",
        "port": rule.port,
        "allowedIPs": rule.given.to or "127.0.0.1/32",
        "access": {"publicHost": forward.host, "publicPort": forward.port},
    }
