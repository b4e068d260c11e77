"""What all tests need, wherever they are started."""

import gc
import signal

import pytest

# Who starts the tests in the background (`make test &` in a script) has Ctrl-C ignored, and so would all programs that
# they start: those whose end by Ctrl-C is tested would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of whole lives come first: by the number of its tests one of minutes would begin last, and run alone."""
    items.sort(key=lambda item: item.get_closest_marker("lifecycle") is None)


def pytest_collection_finish() -> None:
    """A quarter of the processor went into looking for garbage: among all that is loaded by now, again and again."""
    gc.freeze()
    gc.set_threshold(700, 10, 100)  # of what is old ten times less often: clients of boto3 are 20 000 objects each
