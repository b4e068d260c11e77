"""The figures of `results.json` as the rows of the README's table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
HEAD = ("what", "against", "aim", "measured")


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield what was measured, against what, how it should be and how it was."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    launch, page = results["launch"], results["page"]
    upload, zipped = results["transfers-upload"], results["transfers-zip"]
    catalog, following = results["catalog"], results["following"]
    delays, polled = (_median(following[who], "delay") for who in ("ours", "poller"))
    yield "launch to ready, on the local cluster", "`jupyter lab` alone", "≤ 1.5 ×", _ratio(launch["ratio"])
    yield "page usable in Chromium", "a Voila notebook with one button", "≤ 1.15 ×", _ratio(page["ratio"])
    yield (
        "… with kernels ready ahead of visitors", "that notebook, likewise", "≤ 1.15 ×", _ratio(page["heated_ratio"]),
    )  # fmt: skip
    yield "memory of a visitor's kernel", "one that imported ipyvuetify", "≤ 1.15 ×", _ratio(page["memory_ratio"])
    yield "link shown after the app answers", f"a poller every 5 s: {polled:.1f} s", "≤ 1 s", f"{delays:.2f} s"
    yield (
        "upload of 1 GB from the command line", "boto3's `upload_fileobj`", "≥ 0.8 × the speed, + ≤ 64 MB of memory",
        f"{_ratio(upload['ratio'])}, + {upload['memory_mb']:.0f} MB",
    )  # fmt: skip
    yield (
        "1000 results, 1 GB, as one zip", "reading them with boto3", "≤ 1.3 × the time, + ≤ 64 MB, first byte ≤ 1 s",
        f"{_ratio(zipped['ratio'])}, + {zipped['memory_mb']:.0f} MB, {zipped['first_byte_seconds']:.1f} s",
    )  # fmt: skip
    straight, through = results["uploads-straight"], results["uploads-through-kernel"]
    yield (
        "1 GB from the browser to the bucket", "boto3's `upload_fileobj`",
        "≥ 0.5 × the speed, kernel + ≤ 64 MB, tab + ≤ 200 MB",
        f"{_ratio(straight['ratio'])}, + {straight['kernel_mb']:.0f} MB, + {straight['tab_mb']:.0f} MB; "
        f"where the bucket takes nothing from a page, through the kernel: {_ratio(through['ratio'])}, "
        f"+ {through['kernel_mb']:.0f} MB, + {through['tab_mb']:.0f} MB",
    )  # fmt: skip
    yield (
        "1000 results, 1 GB, as one zip to the browser", "reading them with boto3", "–",
        _ratio(results["card-zip"]["ratio"]),
    )  # fmt: skip
    yield (
        "a card's update on the screen, from a click through the kernel", "–", "≤ 100 ms",
        f"{results['card-update']['median']:.0f} ms",
    )  # fmt: skip
    output = results["card-output"]
    yield (
        "100 000 lines of output on the screen", "–", "–",
        f"{output['seconds']:.1f} s, the tab busy for {output['longest_pause_ms']} ms at most",
    )  # fmt: skip
    proxy = results["proxy"]
    yield (
        "JupyterLab through the page's proxy", "through an SSH tunnel alone",
        "a kernel's echo ≤ 1.2 × the time; 200 MB down ≥ 0.5 × the speed, up ≥ 0.9 ×; + ≤ 16 MB of memory",
        f"{_ratio(proxy['echo_ratio'])}; {_ratio(proxy['down_ratio'])}, {_ratio(proxy['up_ratio'])}; "
        f"+ {proxy['memory_mb']:.0f} MB",
    )  # fmt: skip
    if "hub" in proxy:
        through = proxy["hub"]
        yield (
            "… through JupyterHub and both of our proxies", "through an SSH tunnel alone", "–",
            f"{_ratio(through['echo_ratio'])}; {_ratio(through['down_ratio'])}, {_ratio(through['up_ratio'])}; "
            f"+ {sum(proxy['memory']['hub'].values()):.0f} MB",
        )  # fmt: skip
    if "mounts" in results:
        mounts = results["mounts"]["ratios"]
        yield (
            "page usable behind nginx, in JupyterHub", "on a laptop", "–",
            f"{_ratio(mounts['nginx'])}, {_ratio(mounts['hub'])}",
        )  # fmt: skip
    cluster = results["cluster"]
    yield (
        "the local cluster: at rest, 200 tasks listed", "–", "≤ 1 % of a core, ≤ 100 ms",
        f"{cluster['rest']:.1%} of a core, {cluster['list_median'] * 1000:.0f} ms",
    )  # fmt: skip
    yield (
        "10 000 images and 200 plugins: read, search", "–", "≤ 1 s, ≤ 50 ms a key stroke",
        f"{catalog['read_seconds_median']:.2f} s, {catalog['search_seconds_most'] * 1000:.0f} ms",
    )  # fmt: skip


def _ratio(value: float) -> str:
    return f"{value:.2f} ×"


def _median(runs: list[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)
