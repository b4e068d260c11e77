"""Voila's options for our page (`reference/voila-ipyvuetify.md` §1, §3, §7)."""

from __future__ import annotations

from typing import Any

TEMPLATE = "run-qarnot"
LOGOUT_VARIABLE = "RUN_QARNOT_LOGOUT"  # to kernels: the address that logs out, if there is a login


def content_security_policy(storage: str | None = None) -> str:
    """Return the Content-Security-Policy of the page: it may load from and connect to our server only.

    Arguments:
        storage: the only exception: the origin of the cluster's storage, to which the browser sends large files.
    """
    return "; ".join(
        (
            "default-src 'self'",
            # Voila's inline scripts, ipyvue's blobs, and hash-wasm's WebAssembly
            "script-src 'self' 'unsafe-inline' blob: 'wasm-unsafe-eval'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            " ".join(("connect-src 'self' blob:", *filter(None, [storage]))),
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    )


def voila_options() -> dict[str, Any]:
    """Options of `VoilaConfiguration`."""
    return {
        "extension_allowlist": [
            "jupyter-vue",
            "jupyter-vuetify",
            "@voila-dashboards/widgets-manager8",
            "@jupyter-widgets/jupyterlab-manager",
        ],
        "allow_template_override": "NOTEBOOK",  # a visitor must not choose it
        "allow_theme_override": "NOTEBOOK",
        "show_tracebacks": False,  # they contain source lines
        "http_header_envs": ["Accept-Language"],
        "file_allowlist": [],  # no file of the notebook's folder is served
    }


def kernel_options() -> dict[str, Any]:
    """Return options of the kernel manager: idle kernels are ended, because a killed browser does not announce its end.

    A connected page sends pings and is never idle.
    """
    return {"cull_idle_timeout": 600, "cull_interval": 60, "cull_connected": False}
