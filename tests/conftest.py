"""What all tests need, wherever they are started."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings
from support.ceph import Gateway

_LONG = ("storage", "bootstrap", "browser", "sessions", "cloud", "local", "page")
_BROWSER_RERUNS = 2  # in CI: a busy machine makes a browser late now and then. The summary counts and names them.
_NO_RERUNS = "Only tests with a browser are tried again, by themselves, in CI: use neither --reruns nor flaky."

# Property tests try the same inputs on every run; `make search` looks for new ones. There is no deadline: a busy
# machine is no fault of the code.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Who starts the tests in the background (`make test &` in a script) has Ctrl-C ignored, and so would all programs that
# they start: those whose end by Ctrl-C is tested would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gateway", action="store_true", help="run tests/integration/cloud on a real Ceph gateway")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("reruns", None):
        raise pytest.UsageError(_NO_RERUNS)


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A real Ceph gateway. Without its programs a test that wants one fails, and says which packages to install."""
    with Gateway() as gateway:
        yield gateway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put folders of long files first, and let only tests with a browser be tried again.

    A file of minutes that began last would run alone.
    """
    items.sort(key=_place)
    if any(item.get_closest_marker("flaky") for item in items):
        raise pytest.UsageError(_NO_RERUNS)
    if os.environ.get("CI") == "true":
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.flaky(reruns=_BROWSER_RERUNS))


def _place(item: pytest.Item) -> int:
    """Where the folder of a test stands among the long ones, or behind them."""
    return next((place for place, name in enumerate(_LONG) if name in item.path.parts), len(_LONG))


def pytest_collection_finish() -> None:
    """A quarter of the processor went into looking for garbage: among all that is loaded by now, again and again."""
    gc.freeze()
    gc.set_threshold(700, 10, 100)  # of what is old ten times less often: clients of boto3 are 20 000 objects each
