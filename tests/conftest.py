"""What all tests need, wherever they are started."""

import signal

# Who starts the tests in the background (`make test &` in a script) has Ctrl-C ignored, and so would all programs that
# they start: those whose end by Ctrl-C is tested would go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
