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
"""
from ._ring import CONSUMER_LEASES_MAX, DIR_DEFAULT, METADATA_BYTES_MAX, PRODUCER_LEASES_MAX
from .camera import FORMATS, Camera, Loan
from .subscription import Frame, Packet, Subscription, subscribe

__all__ = [
    "CONSUMER_LEASES_MAX", "DIR_DEFAULT", "FORMATS", "METADATA_BYTES_MAX", "PRODUCER_LEASES_MAX",
    "Camera", "Frame", "Loan", "Packet", "Subscription", "subscribe",
]
