"""Handles of the library: who uses one, and when it is closed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import byref, c_void_p
from typing import Any, Callable, NoReturn, TypeVar

from ._library import call

Self = TypeVar("Self", bound="Closable")


class Handle:
    """A pointer of the library and its users: the object that opened it, calls that run, what rests on it. The last
    user to leave closes it, so no call loses its pointer, and no gallery its device.

    Users come and go in any thread, also in __del__ and in signal handlers, which may interrupt anything: a lock could
    wait there for itself. A list needs none, since its append and its pop are atomic. Each user is a None in the list,
    above the pointer; whoever is alone pops the pointer.

    A process that was forked off has the pointer, but not the threads of the library: it may neither use nor close it.
    """

    def __init__(self, kind: str, pointer: c_void_p, close: Callable[[c_void_p], Any], rests_on: Handle | None = None):
        self._kind, self._close, self._rests_on = kind, close, rests_on
        self._process, self._getpid = os.getpid(), os.getpid
        if rests_on is not None:
            rests_on.__enter__()
        self._users: list[c_void_p | None] = [pointer]

    def __enter__(self) -> c_void_p:
        if self._process != self._getpid():
            raise RuntimeError(f"this {self._kind} was opened by another process: open it again in this one")
        self._users.append(None)
        pointer = self._users[0]
        if pointer is None:
            self._users.pop()
            raise closed_error(self._kind)
        return pointer

    def __exit__(self, *_: object) -> None:
        pointer = self._users.pop()
        if pointer is None or self._process != self._getpid():
            return
        self._close(pointer)
        if self._rests_on is not None:
            self._rests_on.__exit__()


def closed_error(kind: str) -> ValueError:
    return ValueError(f"this {kind} is closed")


def open_pointer(function: str, *arguments: Any) -> c_void_p:
    pointer = c_void_p()
    call(function, *arguments, byref(pointer))
    return pointer


class Closable:
    """Owns a handle and leaves it once: in close, at the end of a `with`, or when the object is deleted."""

    _kind: str  # as messages name it
    _handle: Handle | None = None

    def _opened(self) -> Handle:
        """The handle. Its pointer may be used inside a `with` only."""
        handle = self._handle
        if handle is None:
            raise closed_error(self._kind)
        return handle

    @property
    def closed(self) -> bool:
        return self._handle is None

    def close(self) -> None:
        """May be called again. Calls that run in other threads end first: the last one closes."""
        handle = vars(self).pop("_handle", None)
        if handle is not None:
            handle.__exit__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {self._kind} cannot be copied or pickled: open another one")

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class SharedLock:
    """Any number of threads that share, or one that is alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            while self._sharing:
                self._changed.wait()
            yield
