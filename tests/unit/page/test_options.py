"""What the page may load, and where it may connect."""

from __future__ import annotations

from run_qarnot.page.options import content_security_policy, kernel_options, voila_options


def read(policy: str) -> dict[str, list[str]]:
    return {name: sources for name, *sources in (part.split() for part in policy.split("; "))}


def test_the_page_connects_to_its_own_server_and_to_the_storage_alone() -> None:
    ours = read(content_security_policy())
    assert ours["connect-src"] == ["'self'", "blob:"]
    with_storage = read(content_security_policy("https://storage.example"))
    assert with_storage["connect-src"] == ["'self'", "blob:", "https://storage.example"]
    assert {**with_storage, "connect-src": ours["connect-src"]} == ours
    assert ours["object-src"] == ["'none'"]
    assert all("'unsafe-eval'" not in sources for sources in ours.values())


def test_a_visitor_chooses_no_template_sees_no_source_and_gets_no_file() -> None:
    options = voila_options()
    assert (options["allow_template_override"], options["allow_theme_override"]) == ("NOTEBOOK", "NOTEBOOK")
    assert (options["show_tracebacks"], options["file_allowlist"]) == (False, [])
    assert kernel_options() == {"cull_idle_timeout": 600, "cull_interval": 60, "cull_connected": False}
