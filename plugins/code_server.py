"""VS Code in the browser: a new kind of app, and an image that runs it.

The app says what the dashboard must know: the port, a path that answers once it is up, the page to open. It asks for
no password, because it listens inside the container only, and the way there is the session's SSH tunnel.
"""

from __future__ import annotations

from run_qarnot import App, Image, Settings, hookimpl

PORT = 8080

# In a container on Qarnot the files are in /job. The profile opens the SSH port; the server behind it is for us to
# start. `exec`: the session ends when code-server does.
COMMAND = f"""sh -c '\
apt-get update && apt-get install -y --no-install-recommends openssh-server curl ca-certificates && \
mkdir -p /run/sshd ~root/.ssh && printenv DOCKER_SSH > ~root/.ssh/authorized_keys && /usr/sbin/sshd && \
curl -fsSL https://code-server.dev/install.sh | sh && \
exec code-server --auth none --disable-telemetry --bind-addr 127.0.0.1:{PORT} /job'"""


@hookimpl
def rq_apps() -> list[App]:
    """How code-server is known to be ready, and opened."""
    return [App(kind="code-server", title="VS Code", port=PORT, open_path="/", probe_path="/healthz")]


@hookimpl
def rq_images(settings: Settings) -> list[Image]:
    """Python with VS Code."""
    return [
        Image(
            id="code-server",
            title="VS Code",
            summary="The editor in your browser, on the machine",
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
