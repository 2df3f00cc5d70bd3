# SPDX-License-Identifier: Apache-2.0
"""MuJoCo: renders straight into the ring's slot. Usage: mujoco_renderer.py MODEL.xml"""
import sys

import mujoco

import simcast

model = mujoco.MjModel.from_xml_path(sys.argv[1])
data = mujoco.MjData(model)
renderer = mujoco.Renderer(model, height=480, width=640)
cam = simcast.Camera("front", width=640, height=480)

while True:
    mujoco.mj_step(model, data, nstep=8)
    if cam.wanted:
        renderer.update_scene(data)
        with cam.loan(sim_time=data.time) as frame:
            renderer.render(out=frame.pixels)
