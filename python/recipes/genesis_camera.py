# SPDX-License-Identifier: Apache-2.0
"""Genesis: what a camera of the scene sees, live. Runs where Genesis is installed."""
import genesis as gs

import simcast

gs.init()
scene = gs.Scene(show_viewer=False)
scene.add_entity(gs.morphs.Plane())
scene.add_entity(gs.morphs.MJCF(file="xml/franka_emika_panda/panda.xml"))
camera = scene.add_camera(res=(1280, 720), pos=(3.0, 0.0, 2.0), lookat=(0.0, 0.0, 0.5))
scene.build()

cam = simcast.Camera("front", width=1280, height=720)
while True:
    scene.step()
    if cam.wanted:
        rgb, *_ = camera.render()
        cam.publish(rgb, sim_time=scene.t * scene.dt)
