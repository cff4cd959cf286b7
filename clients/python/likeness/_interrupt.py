"""Searches that Ctrl-C ends."""

from __future__ import annotations

import threading
from ctypes import byref
from typing import Any, Callable

from . import _structures as c
from ._library import call, library

# Some 100 ms of work: what takes less is not worth a thread.
_LONG = 1 << 31  # elements of rows, times probes


def call_until_interrupt(work: int, control: c.SearchControl, name: str, *arguments: Any) -> None:
    """`call`. Python runs signal handlers in its main thread, and only between its own steps; so what takes long there
    runs in another thread. Whatever the handler raises, KeyboardInterrupt say, ends the search and comes out here."""
    if work < _LONG or threading.current_thread() is not threading.main_thread():
        call(name, *arguments)
        return
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call(name, *arguments)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="likeness")
    thread.start()
    try:
        _wait(thread)
    except BaseException:
        library.lk_search_cancel(byref(control))
        _wait_on(thread.join)
        raise
    if errors:
        raise errors[0]


def _wait(thread: threading.Thread) -> None:
    """With pauses, since a join of some Pythons cannot be interrupted while it lasts."""
    while thread.is_alive():
        thread.join(0.05)


def _wait_on(join: Callable[[], None]) -> None:
    """A second interrupt waits too: the search uses the caller's arrays."""
    while True:
        try:
            join()
            return
        except KeyboardInterrupt:
            continue
