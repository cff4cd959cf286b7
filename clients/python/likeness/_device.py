"""The device that searches run on."""

from __future__ import annotations

from . import _arguments as checked
from ._handle import Closable, Handle, open_pointer
from ._library import library


class Device(Closable):
    """The device that searches run on: "auto", "cpu", "cpu:avx2", ... `threads`: 0 uses every processor that the
    process may use. Any threads may share it. If it is closed before the galleries that use it, it serves them until
    the last of them is closed.

    >>> with Device("cpu:portable", threads=2) as device:
    ...     device
    <likeness.Device cpu:portable>
    """

    _kind = "device"

    def __init__(self, name: str = "auto", threads: int = 0):
        arguments = checked.string("name", name), checked.integer("threads", threads, 0, checked.THREADS_MAX)
        self.close()
        self._handle = Handle("device", open_pointer("lk_device_open", *arguments), library.lk_device_close)

    @property
    def name(self) -> str:
        """Of what was opened: "cpu:avx2" for "auto", say."""
        with self._opened() as device:
            found: bytes = library.lk_device_name(device)
            return found.decode()

    def __repr__(self) -> str:
        return f"<likeness.Device {'closed' if self.closed else self.name}>"
