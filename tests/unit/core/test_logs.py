"""Logging is configured in one place, and whoever writes a handler, it is behind the redaction."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from run_qarnot.core import logs, redaction
from run_qarnot.core.errors import InputError

CONFIG = """
[loggers]
keys=root,engine
[handlers]
keys=root,engine
[formatters]
keys=
[logger_root]
handlers=root
[logger_engine]
qualname=test.engine
propagate=0
level=INFO
handlers=engine
[handler_root]
class=FileHandler
args=({root!r},)
[handler_engine]
class=FileHandler
args=({engine!r},)
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    formatters = [handler.formatter for handler in handlers]
    monkeypatch.setattr(redaction, "_secrets", set())
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:], root.level = handlers, level
    for handler, formatter in zip(handlers, formatters, strict=True):
        handler.setFormatter(formatter)


def test_a_file_of_the_users_own_configuration_holds_no_secret(tmp_path: Path) -> None:
    root, engine = tmp_path / "root.log", tmp_path / "engine.log"
    (tmp_path / "logging.conf").write_text(CONFIG.format(root=str(root), engine=str(engine)))
    redaction.protect("very-secret-token")
    logs.configure(config=tmp_path / "logging.conf")
    logging.getLogger("test.engine").info("asked with %s", "very-secret-token")
    logging.getLogger("test.other").warning("and with very-secret-token")
    for file in (root, engine):
        assert redaction.MASK in file.read_text()
        assert "very-secret-token" not in file.read_text()


def test_files_that_are_not_there_or_cannot_be_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        logs.configure(config=tmp_path / "none.conf")
    with pytest.raises(InputError, match=r"cannot be written to .*none/x\.log"):
        logs.configure(file=tmp_path / "none/x.log")


@pytest.mark.parametrize("text", ["", "no ini", "[handlers]\nkeys=x\n[handler_x]\nclass=no.such.Handler\nargs=()"])
def test_a_configuration_that_cannot_be_used_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "logging.conf").write_text(text)
    with pytest.raises(InputError, match="RUN_QARNOT_LOG"):
        logs.configure(config=tmp_path / "logging.conf")
