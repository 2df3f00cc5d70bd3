# SPDX-License-Identifier: Apache-2.0
"""Isaac Lab 2: all environments' cameras, from GPU memory. Runs where Isaac Lab is installed."""
from isaaclab.app import AppLauncher

app = AppLauncher(headless=True, enable_cameras=True).app  # before all other imports

import gymnasium
import isaaclab_tasks  # registers the tasks
from isaaclab_tasks.utils import parse_env_cfg

import simcast

TASK = "Isaac-Cartpole-RGB-Camera-Direct-v0"
env = gymnasium.make(TASK, cfg=parse_env_cfg(TASK, num_envs=16)).unwrapped
camera = env.scene.sensors["tiled_camera"]
env.reset()

cam = simcast.Camera("front", width=100, height=100, batch=16)
while app.is_running():
    env.step(2 * env.action_space.sample() - 1)
    if cam.wanted:
        cam.publish(camera.data.output["rgb"], sim_time=env.sim.current_time)
