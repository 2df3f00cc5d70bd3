# SPDX-License-Identifier: Apache-2.0
"""The consuming side: frames of a camera, or packets of its encoder."""
from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any, Generic, Iterator, Literal, TypeVar, overload

from . import _ring
from ._common import array_over, check_stream, ipc_dir_or_default

if TYPE_CHECKING:
    from ._common import Pixels

STAGES = ("rendered", "published", "encode_begin", "encode_end", "packet_published")


class _Item:
    """What frames and packets have in common."""

    __slots__ = ("_view",)

    def __init__(self, view: _ring.View) -> None:
        self._view = view

    @property
    def seq(self) -> int:
        """Position in this stream: 1, 2, 3, ... It starts anew when the producer does."""
        return self._view.seq

    @property
    def epoch(self) -> int:
        """Differs after each restart of the producer."""
        return self._view.epoch

    @property
    def lost(self) -> int:
        """How many of the producer's frames this subscription missed just before this one."""
        return self._view.lost

    @property
    def frame_id(self) -> int:
        """The simulator's number of the picture."""
        return self._view.frame_id

    @property
    def width(self) -> int:
        """Pixels."""
        return self._view.width

    @property
    def sim_time(self) -> float:
        """Simulated time of the picture, seconds."""
        return self._view.sim_time_ns / 1e9

    @property
    def keyframe(self) -> bool:
        """Decodable without earlier packets; always True for frames."""
        return self._view.keyframe

    @property
    def stamps_ns(self) -> dict[str, int]:
        """When each stage was done, CLOCK_MONOTONIC ns (time.monotonic_ns); the stages so far, of
        rendered, published, encode_begin, encode_end, packet_published."""
        return {stage: stamp for stage, stamp in zip(STAGES, self._view.stamps_ns) if stamp}

    @property
    def metadata(self) -> bytes:
        """What the camera sent along, a copy. For what it sent as JSON: metadata_json()."""
        return self._view.metadata

    def metadata_json(self) -> Any:
        """The metadata, decoded from JSON; None when there is none."""
        metadata = self._view.metadata
        return json.loads(metadata) if metadata else None

    def release(self) -> None:
        """Gives the slot back to the producer, or, when arrays of it are alive, as soon as the
        last of them is gone. Taking the next frame does this by itself."""
        self._view.release()

    def __enter__(self: "ItemT") -> "ItemT":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Frame(_Item):
    """A picture. Valid until released, or until the subscription's next frame."""

    __slots__ = ()

    @property
    def format(self) -> str:
        """Layout in memory: one of simcast.FORMATS, or "unknown"."""
        return self._view.format

    @property
    def height(self) -> int:
        """Pixels, of one picture."""
        return self._view.height // (self._view.batch or 1)

    @property
    def stride_bytes(self) -> int:
        """From one row to the next in memory."""
        return self._view.stride_bytes

    @property
    def bottom_up(self) -> bool:
        """The bottom row comes first in memory. `pixels` begins with the top row all the same."""
        return self._view.bottom_up

    @property
    def pixels(self) -> "Pixels":
        """The slot itself, uint8, read-only, top row first: no copy.

        Shape: ([batch,] height, width [, channels]); rgbx has 3 channels, grey none; nv12 has
        height * 3 / 2 rows; an unknown format is one run of bytes.

        The array stays valid as long as it lives: its slot goes back to the producer only after
        it. So what outlives the frame should be a copy: frame.pixels.copy(). (A camera with a
        lease_limit may write into a slot that is held for longer; see Subscription.revoked.)
        """
        return array_over(self._view)

    @property
    def batch(self) -> int | None:
        """Pictures in this frame, or None when it is a single one without that dimension."""
        return self._view.batch or None

    @property
    def envs(self) -> range:
        """Numbers of the environments that the batch shows; empty when it is no batch."""
        return range(self._view.first_env, self._view.first_env + self._view.batch)

    def env(self, number: int) -> "Pixels":
        """The picture of one environment of a batch: (height, width, channels), read-only."""
        if number not in self.envs:
            raise IndexError(f"this frame shows environments {self.envs}, not {number}")
        return self.pixels[number - self._view.first_env]


class Packet(_Item):
    """A coded picture. Valid until released, or until the subscription's next packet."""

    __slots__ = ()

    @property
    def codec(self) -> str:
        """ "jpeg", "h264" or "hevc" (one access unit in Annex-B). """
        return self._view.codec

    @property
    def height(self) -> int:
        """Pixels."""
        return self._view.height

    @property
    def frame_seq(self) -> int:
        """The packet's number for decoders and clients; grows over restarts of the encoder."""
        return self._view.frame_seq

    @property
    def payload(self) -> memoryview:
        """The coded bytes in the slot itself, read-only. bytes(packet.payload) keeps them."""
        return memoryview(self._view)


ItemT = TypeVar("ItemT", bound=_Item)


class Subscription(Generic[ItemT]):
    """An endless iterator of frames or packets; see subscribe(). Use it from one thread."""

    def __init__(self, item: type[ItemT], consumer: _ring.Consumer, latest: bool) -> None:
        self._item = item
        self._consumer = consumer
        self._latest = latest
        self._current: ItemT | None = None

    def receive(self, timeout: float | None = None) -> ItemT | None:
        """Releases the frame before and waits for the next one; other threads run meanwhile.

        Args:
            timeout: seconds; 0 only looks; None waits for ever.

        Returns:
            The frame, or None when none came in time or the subscription was closed.

        Raises:
            BufferError: arrays of earlier frames are alive and hold all leases.
        """
        timeout_ns = -1
        if timeout is not None:
            if not timeout >= 0:
                raise ValueError(f"timeout must be 0 or more seconds and is {timeout!r}")
            timeout_ns = -1 if math.isinf(timeout) else min(round(timeout * 1e9), 2**62)
        if self._current is not None:
            self._current.release()
            self._current = None
        view = self._consumer.take(self._latest, timeout_ns)
        if view is not None:
            self._current = self._item(view)
        return self._current

    def __iter__(self) -> Iterator[ItemT]:
        return self

    def __next__(self) -> ItemT:
        item = self.receive()
        if item is None:
            raise StopIteration
        return item

    @property
    def attached(self) -> bool:
        """A producer is there, as far as the last receive() knew."""
        return self._consumer.attached

    @property
    def reason(self) -> str:
        """Why there is no producer, as a sentence; empty while attached."""
        return self._consumer.reason

    @property
    def revoked(self) -> int:
        """How many frames were held longer than the camera's lease_limit: what was read of them
        may be mixed with later frames. It grows when such a frame is released."""
        return self._consumer.revoked

    def request_keyframe(self) -> None:
        """Asks the encoder for a picture that is decodable alone, soon."""
        self._consumer.request_keyframe()

    def close(self) -> None:
        """Ends the subscription, also one that waits in another thread. Arrays of its frames stay
        valid."""
        if self._current is not None:
            self._current.release()
            self._current = None
        self._consumer.close()

    def __enter__(self) -> "Subscription[ItemT]":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@overload
def subscribe(stream: str, policy: Literal["latest", "next"] | None = None, *,
              kind: Literal["frames"] = "frames", leases: int = 2,
              ipc_dir: str | os.PathLike[str] | None = None) -> Subscription[Frame]: ...


@overload
def subscribe(stream: str, policy: Literal["latest", "next"] | None = None, *,
              kind: Literal["packets"], leases: int = 2,
              ipc_dir: str | os.PathLike[str] | None = None) -> Subscription[Packet]: ...


def subscribe(stream: str, policy: Literal["latest", "next"] | None = None, *,
              kind: Literal["frames", "packets"] = "frames", leases: int = 2,
              ipc_dir: str | os.PathLike[str] | None = None) -> Any:
    """Watches a stream. Its producer need not run yet, and may come and go.

    Args:
        stream: the stream's name.
        policy: "latest": always the newest, skipping what came between (default for frames);
            "next": each in turn, after a loss from a keyframe on (default for packets).
        kind: "frames" of a camera, or "packets" of its encoder.
        leases: frames held at the same time, 1 to CONSUMER_LEASES_MAX: the current one, and those
            of which arrays are alive. Two allow `pixels = frame.pixels` in a loop.
        ipc_dir: where the stream's socket is; default: SIMCAST_IPC_DIR or /dev/shm/sdr_os_ipc.

    Returns:
        An iterator that waits for frames for ever; Ctrl-C ends it. receive(timeout) waits less.
    """
    kinds = {"frames": (_ring.KIND_FRAMES, Frame), "packets": (_ring.KIND_PACKETS, Packet)}
    if kind not in kinds:
        raise ValueError(f"kind {kind!r} is unknown: use \"frames\" or \"packets\"")
    if policy is None:
        policy = "latest" if kind == "frames" else "next"
    if policy not in ("latest", "next"):
        raise ValueError(f"policy {policy!r} is unknown: use \"latest\" or \"next\"")
    if not isinstance(leases, int) or not 1 <= leases <= _ring.CONSUMER_LEASES_MAX:
        raise ValueError(f"leases must be 1 to {_ring.CONSUMER_LEASES_MAX} and is {leases!r}")
    number, item = kinds[kind]
    consumer = _ring.Consumer(dir=ipc_dir_or_default(ipc_dir), stream=check_stream(stream),
                              kind=number, leases=leases)
    return Subscription(item, consumer, policy == "latest")
