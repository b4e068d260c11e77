"""What the SDK would take from its surroundings unasked reaches it no more (`cloud/connection.py`)."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from support.command import CommandLine

from qarnot_local import LocalCluster


def test_a_netrc_entry_for_the_host_does_not_replace_the_token(
    cli: CommandLine, cluster: LocalCluster, tmp_path: Path
) -> None:
    host = urlsplit(cluster.cluster_url).hostname
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {host} login somebody password else\n")
    netrc.chmod(0o600)
    assert cli("sessions", "--json").code == 0
    assert cli.with_environment(NETRC=str(netrc))("sessions", "--json").code == 0


def test_an_aws_account_of_the_user_has_no_say(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\nregion = mars-north-1\nendpoint_url = http://127.0.0.1:9\n")
    (cli.folder / "a.txt").write_text("a")
    other = cli.with_environment(
        AWS_PROFILE="no-such-profile", AWS_DEFAULT_REGION="mars-1", AWS_ENDPOINT_URL="http://127.0.0.1:9"
    )
    other("launch", "base", "--input", "a.txt", "--name", "aws", "--detach")
    other("stop", "aws", "--no-save")
    assert other("show", "aws", "--json").json["state"] == "ended"


def test_what_is_on_this_machine_is_not_asked_for_through_a_proxy(cli: CommandLine) -> None:
    nowhere = "http://127.0.0.1:9"
    (cli.folder / "a.txt").write_text("a")
    behind = cli.with_environment(HTTP_PROXY=nowhere, http_proxy=nowhere, NO_PROXY="example.org")
    behind("launch", "base", "--input", "a.txt", "--name", "proxy", "--detach")
    behind("stop", "proxy", "--no-save")
    assert behind("show", "proxy", "--json").json["state"] == "ended"


def test_the_sdks_own_variables_do_not_override_what_we_set(cli: CommandLine) -> None:
    assert cli.with_environment(QARNOT_CLUSTER_TIMEOUT="nonsense")("sessions", "--json").code == 0


def test_nothing_is_printed_by_the_sdk_and_the_environment_is_as_before(
    cli: CommandLine, cluster: LocalCluster
) -> None:
    script = (
        "import asyncio, os\n"
        "from pathlib import Path\n"
        "from run_qarnot.catalog import Catalog\n"
        "from run_qarnot.engine.account import Account\n"
        "from run_qarnot.model.settings import read_settings\n"
        "settings = read_settings(os.environ, Path.cwd())\n"
        "before = dict(os.environ)\n"
        "account = asyncio.run(Account.open(settings, settings.token, Catalog()))\n"
        "assert dict(os.environ) == before\n"
        "print(account.email)\n"
    )
    import subprocess
    import sys

    environment = {**cli.environment, "AWS_DEFAULT_REGION": "mars-1", "NETRC": os.devnull}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{cluster.email}\n"
    assert cluster.token not in done.stderr
