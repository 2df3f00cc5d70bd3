/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network of dense layers, as trained policies for legs are: each layer is weight x input +
 * bias, with ELU or ReLU between the layers and nothing behind the last.
 *
 * The file, little-endian, f32 and u32 without padding, written by hal/export_mlp.py:
 *
 *   "SIMCMLP1"
 *   u32 layers (1 to 8), activation (0 ELU, 1 ReLU), inputs (45 or 48), outputs (12)
 *   f32 action_scale, stiffness, damping
 *   f32 scale of: linear velocity, angular velocity, commanded linear velocity, commanded turn,
 *       joint position, joint velocity
 *   f32 default_joint_rad[12]
 *   u32 order[12]: joint i of the network is joint order[i] of proto/robot_state.h
 *   per layer: u32 inputs, outputs; f32 weight[outputs][inputs]; f32 bias[outputs]
 *
 * Thread: the owner's. Cost: running it allocates nothing; one multiplication per weight.
 */
#ifndef SIMCAST_HAL_MLP_H
#define SIMCAST_HAL_MLP_H

#include <stdint.h>

#include "hal/training.h"

#define MLP_MAGIC "SIMCMLP1"
#define MLP_LAYERS_MAX 8
#define MLP_WIDTH_MAX 4096

enum mlp_activation { MLP_ELU, MLP_RELU };

struct mlp_layer {
    uint32_t inputs;
    uint32_t outputs;
    float *weight; /* [outputs][inputs] */
    float *bias;
};

/* Read the fields; mlp.c writes them. */
struct mlp {
    uint32_t layer_count;
    uint32_t activation;
    struct training training;
    struct mlp_layer layers[MLP_LAYERS_MAX];
    float *scratch[2]; /* the widest layer each */
};

/*
 * Reads a file. On success the caller owns *ret_mlp. On failure *ret_reason names the cause, a
 * string constant. Errors: what open said; -EPROTO the file is none, is cut short, too long, or
 * its parts do not fit each other; -ENOMEM.
 */
int mlp_load(const char *path, struct mlp **ret_mlp, const char **ret_reason);

/* Takes NULL. */
void mlp_unload(struct mlp *mlp);

/* `output` has POLICY_JOINTS values, `input` mlp->training.inputs. */
void mlp_run(struct mlp *mlp, const float *input, float *output);

#endif
