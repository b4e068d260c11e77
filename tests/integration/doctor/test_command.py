"""`run-qarnot doctor`, as it is typed; the code of run_qarnot.commands.doctor ."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from support.command import CommandLine
from support.doctor import buckets
from support.waiting import wait_until

from qarnot_local import LocalCluster

pytestmark = pytest.mark.slow


@pytest.fixture
def cli(cluster: LocalCluster, tmp_path: Path) -> CommandLine:
    return CommandLine.of_account(cluster, tmp_path)


@pytest.fixture
def without_rules(cluster: LocalCluster) -> None:
    cluster.control.fail_next("PUT", "s3:PutBucketCors", code="AccessDenied", times=None)


def test_all_as_expected_is_0_and_two_files(cluster: LocalCluster, cli: CommandLine) -> None:
    answer = cli("doctor", "--output", "report")
    assert answer.out == ""
    assert "as expected. The report, without secrets: report/run-qarnot-report.md" in answer.err
    value = json.loads((cli.folder / "report" / "run-qarnot-report.json").read_text())
    assert {each["verdict"] for each in value["findings"]} == {"as expected"}
    assert {"C-base", "C-public-jupyter", "A1", "N1", "S1"} <= {each["number"] for each in value["findings"]}
    for path in (cli.folder / "report").iterdir():
        assert cluster.token not in path.read_text()
        assert cluster.email not in path.read_text()


def test_a_difference_is_1_and_says_what_adapts(cluster: LocalCluster, cli: CommandLine, without_rules: None) -> None:
    answer = cli("doctor", expect=1)
    assert "S15 differs: Can a browser upload" in answer.out
    assert "seen: rules: 403 AccessDenied" in answer.out
    assert "sends the browser's uploads through the page: run_qarnot/page/components/files.py" in answer.out
    assert "1 differs" in answer.err


def test_json_is_one_value_and_the_same_as_in_the_file(cli: CommandLine, without_rules: None) -> None:
    answer = cli("doctor", "--json", expect=1)
    assert answer.json == json.loads((cli.folder / "run-qarnot-report.json").read_text())


@pytest.mark.parametrize(
    ("typed", "said"),
    [("--yes", "--yes is for --spend"), ("--spend", "nobody is at a terminal"), ("--spent", "no option --spent")],
)
def test_bad_usage_is_2(cli: CommandLine, typed: str, said: str) -> None:
    assert said in cli("doctor", typed, expect=2).err


def test_a_token_that_is_refused_is_said_as_everywhere(cli: CommandLine) -> None:
    answer = cli.with_environment(QARNOT_CLIENT_TOKEN="wrong-token-of-nobody")("doctor", expect=1)
    assert len(answer.err.splitlines()) == 2
    assert not list(cli.folder.glob("run-qarnot-report*"))


def test_no_cluster_is_3(cli: CommandLine) -> None:
    answer = cli.with_environment(QARNOT_CLUSTER_URL="http://127.0.0.1:9")("doctor", expect=3)
    assert len(answer.err.splitlines()) == 2


def test_ctrl_c_leaves_nothing_behind(cluster: LocalCluster, cli: CommandLine) -> None:
    cluster.control.delay("s3:PutObject", 0.5)
    process = cli.start("doctor")
    try:
        wait_until(lambda: cluster.control.count("PUT", "s3:PutObject") > 2, "the doctor to be at the storage", 60)
        assert buckets(cluster) == 1
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Removing what was made" in err
    assert "Traceback" not in err
    assert buckets(cluster) == 0
    assert not list(cli.folder.glob("run-qarnot-report*"))
