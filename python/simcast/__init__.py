# SPDX-License-Identifier: Apache-2.0
"""Frames out of a robot simulator without copying them, and into Python.

A simulator publishes:

    import simcast
    cam = simcast.Camera("front", width=1280, height=720, format="rgb24")
    while running:
        cam.publish(renderer.render(), sim_time=data.time)

Anybody looks:

    for frame in simcast.subscribe("front"):
        print(frame.frame_id, frame.pixels.shape, frame.pixels.mean())

No daemon needs to run. Whoever starts first waits for the other, and each may come and go.

What a robot may do of what it is told (`simcast.Safety`):

    safety = simcast.Safety(publish)
    while running:
        for message in bus:
            safety.receive(message.subject, message.data, message.headers)
        forward, left, turn = safety.step()
"""
from typing import TYPE_CHECKING, Any

from ._ring import CONSUMER_LEASES_MAX, DIR_DEFAULT, METADATA_BYTES_MAX, PRODUCER_LEASES_MAX
from .camera import FORMATS, Camera, Loan
from .subscription import Frame, Packet, Subscription, subscribe

if TYPE_CHECKING:
    from .safety import Safety

__all__ = [
    "CONSUMER_LEASES_MAX", "DIR_DEFAULT", "FORMATS", "METADATA_BYTES_MAX", "PRODUCER_LEASES_MAX",
    "Camera", "Frame", "Loan", "Packet", "Safety", "Subscription", "subscribe",
]


def __getattr__(name: str) -> Any:
    """Loads `Safety` when it is asked for: who only publishes frames needs no jansson."""
    if name != "Safety":
        raise AttributeError(f"module 'simcast' has no attribute {name!r}")
    try:
        from .safety import Safety  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("this simcast was built without jansson; install libjansson-dev and "
                          "build it again") from error
    globals()[name] = Safety
    return Safety
