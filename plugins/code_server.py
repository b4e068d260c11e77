"""VS Code in the browser: a new kind of app, and an image that runs it.

The app says what the dashboard must know: the port, a path that answers once it is up, the page to open, and the
constant from which it reads its password, which Run Qarnot chooses.
"""

from __future__ import annotations

from run_qarnot import App, Image, Settings, hookimpl

PORT = 8080
# One release, by its checksum. For a newer one, see https://github.com/conda-forge/code-server-feedstock.
VERSION = "4.133.0"
SHA256 = "a4e0f8f8c76e7de8e7424289f74e507af4c97bfe104c3e8ee272b8cc7b46c6f1"  # of linux-amd64
ARCHIVE = f"https://github.com/coder/code-server/releases/download/v{VERSION}/code-server-{VERSION}-linux-amd64.tar.gz"

# In a container on Qarnot the files are in /job. The profile opens the SSH port; the server behind it is for us to
# start. `exec`: the session ends when code-server does.
COMMAND = f"""sh -c '\
apt-get update && apt-get install -y --no-install-recommends openssh-server && \
mkdir -p /run/sshd ~root/.ssh && printenv DOCKER_SSH > ~root/.ssh/authorized_keys && /usr/sbin/sshd && \
archive=$(mktemp) && \
python3 -c "import sys, urllib.request as web; web.urlretrieve(*sys.argv[1:])" {ARCHIVE} "$archive" && \
echo "{SHA256}  $archive" | sha256sum -c - && \
mkdir -p /opt/code-server && tar -xzf "$archive" -C /opt/code-server --strip-components=1 && rm "$archive" && \
exec /opt/code-server/bin/code-server --auth password --disable-telemetry --disable-update-check \
--bind-addr 127.0.0.1:{PORT} /job'"""


@hookimpl
def rq_apps() -> list[App]:
    """How code-server is known to be ready, and opened."""
    password = "PASSWORD"  # noqa: S105  the name of the variable
    return [App("code-server", "VS Code", port=PORT, open_path="/", probe_path="/healthz", token_env=password)]


@hookimpl
def rq_images(settings: Settings) -> list[Image]:
    """Python with VS Code."""
    return [
        Image(
            id="code-server",
            title="VS Code",
            summary="The editor in your browser, on the machine",
            description="It asks for a password: that is the text behind `token=` in the address that was opened.",
            category="Machines",
            icon="mdi-microsoft-visual-studio-code",
            docs_url="https://coder.com/docs/code-server",
            app="code-server",
            profile=("docker-network-ssh",),
            repo="library/python",
            tag="3.12",
            command=COMMAND,
            ssh_keys="many",
        )
    ]
