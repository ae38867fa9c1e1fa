"""SIGTERM as an exception, at once or at the end of a block."""

from __future__ import annotations

import signal
import threading

import pytest

from slugline.core.termination import (
    Terminated,
    deferred_sigterm,
    raising_sigterm,
    received_signal,
    sigterm_was_received,
)


def test_sigterm_raises_and_the_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), raising_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert sigterm_was_received()
    assert signal.getsignal(signal.SIGTERM) is before
    with raising_sigterm():
        assert not sigterm_was_received()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_closed_terminal_ends_a_program_in_the_same_way_unless_it_is_ignored() -> None:
    with pytest.raises(Terminated), deferred_sigterm():
        signal.raise_signal(signal.SIGHUP)
    assert received_signal() == signal.SIGHUP
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with raising_sigterm():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_deferred_sigterm_raises_at_the_end_of_the_block_and_a_second_one_at_once() -> None:
    done = []
    with pytest.raises(Terminated), deferred_sigterm():
        signal.raise_signal(signal.SIGTERM)
        done.append(sigterm_was_received())
    assert done == [True]
    with pytest.raises(Terminated), deferred_sigterm():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        done.append(True)
    assert done == [True]


def test_an_error_of_the_block_is_not_replaced() -> None:
    with pytest.raises(ValueError, match="an error"), deferred_sigterm():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("an error")


def test_other_threads_run_as_usual() -> None:
    done = []

    def work() -> None:
        with raising_sigterm(), deferred_sigterm():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
