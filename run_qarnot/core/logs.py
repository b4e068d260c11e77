"""The configuration of logging. Every handler redacts secrets."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import sys
from pathlib import Path

from run_qarnot.core.errors import InputError, reason_of
from run_qarnot.core.messages import Message, Verbatim
from run_qarnot.core.redaction import RedactingFormatter

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FILE_BYTES = 10_000_000
_FILES_KEPT = 10


def configure(level: str | None = None, file: Path | None = None, config: Path | None = None) -> None:
    """Configure the root logger.

    Arguments:
        level: of messages on standard error; the default is warnings.
        file: for messages of the level `info` and above; rotates at 10 MB, ten are kept.
        config: a `logging.config` file, which replaces all of this except the redaction.

    Raises:
        InputError: a file cannot be used.
    """
    root = logging.getLogger()
    if config is not None:
        _read_config(config)
    else:
        console = logging.StreamHandler(sys.stderr)
        console.setLevel((level or "warning").upper())
        root.addHandler(console)
        root.setLevel(min(console.level, logging.INFO))
        logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns about connections that the other side closed
    if file is not None:
        root.addHandler(_file_handler(file))
    for handler in _all_handlers():
        handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter(_FORMAT)))


def _all_handlers() -> set[logging.Handler]:
    """Return the handlers of the root logger, and those that a configuration added to other loggers."""
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    return {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}


def _file_handler(file: Path) -> logging.Handler:
    try:
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8"
        )
    except OSError as error:
        raise InputError("log-unwritable", path=file, problem=reason_of(error)) from error
    handler.setLevel(logging.INFO)
    return handler


def _read_config(config: Path) -> None:
    try:
        config.open().close()  # for a missing file, `fileConfig` complains about formatters
        logging.config.fileConfig(config, disable_existing_loggers=False)
    except Exception as error:  # it evaluates expressions of the file, which can raise anything
        raise InputError(
            "settings", name="RUN_QARNOT_LOG", value=config,
            problem=Message("unusable", problem=Verbatim(str(error))), hint=Message("give-log-config"),
        ) from error  # fmt: skip
