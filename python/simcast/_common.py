# SPDX-License-Identifier: Apache-2.0
"""What both sides of a ring share: names, places, and arrays over memory."""
from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from . import _ring

if TYPE_CHECKING:
    import numpy
    import numpy.typing

    Pixels = numpy.typing.NDArray[numpy.uint8]

STREAM_NAME = re.compile(r"(?=.{1,31}$)[A-Za-z0-9_-]+(\+[A-Za-z0-9_-]+)?")


def check_stream(stream: str) -> str:
    if not isinstance(stream, str) or not STREAM_NAME.fullmatch(stream):
        raise ValueError(f"stream {stream!r} is no name: use 1 to 31 of letters, digits, - and _")
    return stream


def ipc_dir_or_default(ipc_dir: str | os.PathLike[str] | None) -> str:
    """The argument, else SIMCAST_IPC_DIR, else the default of all simcast programs."""
    if ipc_dir is not None:
        return os.fsdecode(ipc_dir)
    return os.environ.get("SIMCAST_IPC_DIR") or _ring.DIR_DEFAULT


def array_over(exporter: Any) -> "Pixels":
    """A numpy array over the exporter's memory; a memoryview where numpy is not installed."""
    view = memoryview(exporter)  # raises BufferError, where numpy would make an array of objects
    try:
        import numpy  # pylint: disable=import-outside-toplevel
    except ImportError:
        return view  # type: ignore[return-value]
    return numpy.asarray(view)
