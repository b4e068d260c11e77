"""What this machine is, what it refuses, which profiles it plays."""

from __future__ import annotations

from qarnot_local.runtime import hardware
from qarnot_local.runtime.definition import GivenRule, HardwareConstraint
from qarnot_local.runtime.machine import machine
from qarnot_local.runtime.network_rules import inbound
from qarnot_local.runtime.profiles import PROFILES


def constraint(kind: str, **more: object) -> HardwareConstraint:
    return HardwareConstraint.model_validate({"discriminator": f"{kind}HardwareConstraint", **more})


def test_all_that_is_offered_is_known_and_not_refused() -> None:
    for given in hardware.offered():
        found = HardwareConstraint.model_validate(given)
        assert hardware.is_known(found)
        assert hardware.refusal(found) is None


def test_a_gpu_and_another_processor_are_refused() -> None:
    assert hardware.refusal(constraint("Gpu")) == "there is no GPU here"
    assert "other" in str(hardware.refusal(constraint("CpuModel", cpuModel="other")))
    assert not hardware.is_known(constraint("Magic"))
    assert hardware.cpu_models("no such model") == []
    assert machine().key in str(hardware.offered())


def test_inbound_rules_are_one_for_each_tcp_port() -> None:
    rule: dict[str, object] = {"inbound": True, "proto": "tcp", "port": "80"}
    given = [rule | {"name": "a"}, rule, rule | {"proto": "UDP", "port": "81"}, rule | {"inbound": False, "port": "82"}]
    rules = inbound(GivenRule.model_validate(each) for each in given)
    assert [(rule.name, rule.port) for rule in rules] == [("80", 80)]


def test_profiles_with_ssh_in_their_name_have_a_forward_and_its_constant() -> None:
    for name, profile in PROFILES.items():
        constants = {each["name"] for each in profile.answer()["constants"]}
        assert ("DOCKER_SSH" in constants) == profile.forwards
        assert profile.forwards or not name.endswith("-ssh")
        assert ("DOCKER_CMD_MASTER" in constants) == name.startswith("docker-cluster")
