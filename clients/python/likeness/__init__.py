"""Exact 1:N search from Python: liblikeness (include/likeness/likeness.h) through ctypes, with numpy arrays in and out.

    import likeness

    likeness.create("faces", dim=512)
    likeness.enroll("faces", vectors, keys=["ada-1", "bo-1"])
    with likeness.Device() as device, likeness.Gallery("faces", device) as gallery:
        numbers, scores = gallery.identify(probes, k=10)
        gallery.key(numbers[0, 0])

Vectors are arrays of rows x dim, of float32, float64, float16 or uint8. They are not copied, unless the elements of a
row are not contiguous. The library is $LIKENESS_LIBRARY, or the one that the system finds.

Errors: a failed call raises Error with the library's text. An argument of a wrong type raises TypeError, one that is
out of range ValueError, before the library is called; both name the argument. What is closed raises ValueError.

Threads: any threads may use any object at once, and search without the interpreter's lock. Objects may be closed in any
order, at any time, twice. A process that was forked off must open its own.
"""

from ._arguments import ALL, DIM_MAX, FUSIONS, K_MAX, METRICS, STORES, Claims
from ._gallery import MISSING, Device, Gallery, bind, create, enroll
from ._library import Error

__all__ = [
    *("ALL", "DIM_MAX", "FUSIONS", "K_MAX", "METRICS", "MISSING", "STORES"),
    *("Claims", "Device", "Error", "Gallery", "bind", "create", "enroll"),
]
