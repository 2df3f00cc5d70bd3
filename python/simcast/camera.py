# SPDX-License-Identifier: Apache-2.0
"""The publishing side: a camera of a simulator."""
from __future__ import annotations

import errno
import json
import math
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _ring
from ._common import array_over, check_stream, ipc_dir_or_default

if TYPE_CHECKING:
    from ._common import Pixels

FORMATS: tuple[str, ...] = tuple(_ring.FORMATS)
SIDE_MAX = 32768
BATCH_MAX = 65536
CUDA_DEVICE_MAX = 1023
INT64_MAX = 2**63 - 1
UINT32_MAX = 2**32 - 1
UINT64_MAX = 2**64 - 1

OPEN_REMEDIES = {
    errno.EADDRINUSE: "a living process publishes this stream already; stop it, or choose another "
                      "name",
    errno.ENOSPC: "there is not enough memory for it; free some, or take a smaller picture or "
                  "fewer leases",
    errno.ENOMEM: "there is not enough memory for it; free some, or take a smaller picture or "
                  "fewer leases",
    errno.EACCES: "this user may not write there; choose another ipc_dir, or set SIMCAST_IPC_DIR",
    errno.ENOENT: "its parent directory does not exist; create it, or choose another ipc_dir",
    errno.ENAMETOOLONG: "a socket's path has at most 107 characters; choose a shorter ipc_dir",
}


def _integer(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = value.__index__()
    except AttributeError:
        raise TypeError(f"{name} must be an integer and is {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} must be {low} to {high} and is {number}")
    return number


def _nanoseconds(name: str, value: Any) -> int:
    if not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number of seconds and is {value!r}")
    seconds = float(value)
    if not math.isfinite(seconds) or abs(seconds) * 1e9 >= INT64_MAX:
        raise ValueError(f"{name} must be finite, in seconds, and is {value!r}")
    return round(seconds * 1e9)


def _metadata_bytes(metadata: Any) -> Any:
    """Bytes-like objects as they are, everything else as JSON."""
    if metadata is None:
        return b""
    if isinstance(metadata, (bytes, bytearray, memoryview)):
        return metadata
    try:
        return json.dumps(metadata, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata must be bytes, or what JSON can say: {error}") from None


class Loan:
    """One frame to draw into, from Camera.loan().

    Attributes:
        sim_time: simulated time of the picture, seconds.
        metadata: what travels with the frame: bytes, or anything that JSON can say.
        frame_id: the simulator's number of the picture.
    """

    __slots__ = ("sim_time", "metadata", "frame_id", "_bottom_up", "_loan", "_abandoned")

    def __init__(self, loan: _ring.Loan, *, sim_time: float, metadata: Any, frame_id: int,
                 bottom_up: bool) -> None:
        self.sim_time = sim_time
        self.metadata = metadata
        self.frame_id = frame_id
        self._bottom_up = bottom_up
        self._loan = loan
        self._abandoned = False

    @property
    def pixels(self) -> "Pixels":
        """The slot itself, uint8, writable, contiguous; its old contents are an earlier frame's.

        Shape: as the camera's `shape`. A numpy array, or a memoryview where there is no numpy.

        Write through it while the with block lasts, and keep no array of it: with one alive the
        frame is not published (BufferError), since a later write would change what others read.
        """
        return array_over(self._loan)

    def abandon(self) -> None:
        """Gives the frame up; the rest of the with block runs on, and publishes nothing."""
        self._abandoned = True
        self._loan.abandon()

    def __enter__(self) -> "Loan":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if kind is not None or self._abandoned:
            self.abandon()
            return
        try:
            self._loan.publish(frame_id=_integer("frame_id", self.frame_id, 0, UINT64_MAX),
                               sim_time_ns=_nanoseconds("sim_time", self.sim_time),
                               metadata=_metadata_bytes(self.metadata),
                               bottom_up=self._bottom_up)
        finally:
            self._loan.abandon()


class Camera:
    """A stream of pictures that any number of processes can watch.

    Opening a camera reserves all of its memory; publishing allocates nothing, never waits for a
    consumer, and is cheap when nobody watches. Use it from one thread at a time.

    Args:
        stream: the stream's name; one living camera per name and ipc_dir.
        width, height: of one picture, pixels.
        format: "rgb24", "rgba", "rgbx", "bgra" (bytes in this order), "grey", or
            "nv12" (BT.601, limited range).
        batch: pictures per frame, for simulators with many environments. Arrays then have one
            more dimension in front, and the frame is one picture of batch * height rows.
        first_env: number of the environment that the batch's first picture shows.
        leases: frames that all consumers together may hold; memory is leases + 2 frames.
        lease_limit: seconds after which a frame that a consumer holds may be written to all the
            same, so that a consumer that hangs costs no slot for ever; None: never.
        pin_memory: pins the memory for CUDA, so that publish() copies from a GPU at the speed of
            the bus. Without a driver the camera works all the same; see pin_reason.
        cuda_device: number of the GPU for that.
        ipc_dir: where the stream's socket goes; default: SIMCAST_IPC_DIR or /dev/shm/sdr_os_ipc.

    Raises:
        ValueError, TypeError: an argument makes no sense.
        OSError: the stream cannot be opened; EADDRINUSE: another process publishes it.
    """

    def __init__(self, stream: str, width: int, height: int, format: str = "rgb24", *,
                 batch: int | None = None, first_env: int = 0, leases: int = 8,
                 lease_limit: float | None = None, pin_memory: bool = False, cuda_device: int = 0,
                 ipc_dir: str | os.PathLike[str] | None = None) -> None:
        self.stream = check_stream(stream)
        self.width = _integer("width", width, 1, SIDE_MAX)
        self.height = _integer("height", height, 1, SIDE_MAX)
        if format not in _ring.FORMATS:
            raise ValueError(f"format {format!r} is unknown: use one of {', '.join(FORMATS)}")
        if format == "nv12" and batch is not None:
            raise ValueError("a batch cannot be nv12: use rgb24")
        self.format = format
        self.batch = None if batch is None else _integer("batch", batch, 1, BATCH_MAX)
        self.first_env = _integer("first_env", first_env, 0, UINT32_MAX)
        self.ipc_dir = ipc_dir_or_default(ipc_dir)
        self._frames = 0
        leases = _integer("leases", leases, 1, _ring.PRODUCER_LEASES_MAX)
        lease_ns_max = 0 if lease_limit is None else _nanoseconds("lease_limit", lease_limit)
        if lease_limit is not None and lease_ns_max <= 0:
            raise ValueError(f"lease_limit must be more than 0 seconds and is {lease_limit!r}")
        try:
            self._producer = _ring.Producer(
                dir=self.ipc_dir, stream=stream, width=self.width, height=self.height,
                fourcc=_ring.FORMATS[format], batch=self.batch or 0, first_env=self.first_env,
                leases=leases, lease_ns_max=lease_ns_max, pin=bool(pin_memory),
                cuda_device=_integer("cuda_device", cuda_device, 0, CUDA_DEVICE_MAX))
        except OSError as error:
            number = error.errno or errno.EIO
            remedy = OPEN_REMEDIES.get(number, os.strerror(number))
            raise OSError(number, f"camera {stream!r} cannot be opened in {self.ipc_dir}: "
                                  f"{remedy}") from None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one frame's array: ([batch,] height, width [, channels]); grey and nv12 have
        no channels, and nv12 has height * 3 / 2 rows: Y, then Cb and Cr in turn."""
        rows = self.height
        if self.format == "nv12":
            rows += (self.height + 1) // 2
        channels = {"rgb24": (3,), "grey": (), "nv12": ()}.get(self.format, (4,))
        return (() if self.batch is None else (self.batch,)) + (rows, self.width) + channels

    @property
    def wanted(self) -> bool:
        """Somebody wants frames now. While it is False, rendering is wasted: skip it."""
        return self._producer.wanting > 0

    @property
    def consumers(self) -> int:
        """Consumers that are attached, whether they want frames or not."""
        return self._producer.consumers

    @property
    def pin_reason(self) -> str:
        """Why the memory is not pinned, as a sentence; empty when it is, or was not asked for."""
        return self._producer.pin_reason

    def loan(self, *, sim_time: float = 0.0, metadata: Any = None, frame_id: int | None = None,
             bottom_up: bool = False) -> Loan:
        """Lends a slot to draw into: no copy at all. Leaving the with block publishes the frame;
        an exception abandons it.

            with cam.loan(sim_time=data.time) as frame:
                renderer.render(out=frame.pixels)

        Args:
            sim_time, metadata, frame_id: as for publish(); the loan's attributes of these names
                can be set until the block ends.
            bottom_up: the first row that is written is the bottom row, as OpenGL reads back.

        Raises:
            BufferError: an earlier loan is still out, or an array of its pixels still alive.
        """
        if bottom_up and (self.batch is not None or self.format == "nv12"):
            raise ValueError("a batch, or nv12, cannot be loaned bottom-up: write the top row "
                             "first, or publish() an array")
        return Loan(self._producer.loan(), sim_time=sim_time, metadata=metadata,
                    frame_id=self._next_id(frame_id), bottom_up=bool(bottom_up))

    def publish(self, img: Any, *, sim_time: float = 0.0, metadata: Any = None,
                frame_id: int | None = None, bottom_up: bool = False) -> int:
        """Publishes a picture with one copy, into the slot; other threads run meanwhile.

        Args:
            img: uint8 of the camera's `shape`: a numpy array with any strides, anything with the
                buffer protocol or DLPack, or __cuda_array_interface__ when there is a GPU. Views
                are taken as they lie in memory: img[::-1] is marked as bottom-up instead of being
                flipped, and rgba[..., :3] is published as rgbx with its fourth byte.
            sim_time: simulated time of the picture, seconds.
            metadata: up to METADATA_BYTES_MAX bytes (with batch 16 less) that travel with the
                frame; what is not bytes is sent as JSON.
            frame_id: the simulator's number of the picture; default: 1, 2, 3, ...
            bottom_up: img's first row is the bottom row, as OpenGL reads back.

        Returns:
            The frame's sequence number in this stream: 1, 2, 3, ...

        Raises:
            TypeError, ValueError: img or another argument does not fit; the message says what to
                do. Nothing was published.
            RuntimeError: img is on a GPU and the CUDA driver is missing or refuses.
        """
        return self._producer.publish(
            img, frame_id=self._next_id(frame_id), sim_time_ns=_nanoseconds("sim_time", sim_time),
            metadata=_metadata_bytes(metadata), bottom_up=bool(bottom_up))

    def _next_id(self, frame_id: int | None) -> int:
        if frame_id is not None:
            return _integer("frame_id", frame_id, 0, UINT64_MAX)
        self._frames += 1
        return self._frames

    def close(self) -> None:
        """Ends the stream: consumers see the hang-up at once and wait for the next camera of this
        name. A loan that is out keeps its memory until it ends."""
        self._producer.close()

    def __enter__(self) -> "Camera":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<simcast.Camera {self.stream!r} {self.format} {self.shape}>"
