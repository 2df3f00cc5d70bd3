/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the weights. A file is not trusted: sizes are bounded and must fit before memory is taken.
 */
#include "hal/mlp.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_words(FILE *file, void *words, size_t count)
{
    return fread(words, sizeof(uint32_t), count, file) == count;
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

/* Returns NULL, or what is wrong. */
static const char *read_header(FILE *file, struct mlp *mlp)
{
    struct training *training = &mlp->training;
    char magic[sizeof(MLP_MAGIC) - 1];
    uint32_t sizes[4];
    float gains[3];

    if (fread(magic, 1, sizeof(magic), file) != sizeof(magic) ||
        memcmp(magic, MLP_MAGIC, sizeof(magic)) != 0)
        return "it does not begin with " MLP_MAGIC;
    if (!read_words(file, sizes, 4) || !read_words(file, gains, 3) ||
        !read_words(file, training->scale, TRAINING_SCALE_COUNT) ||
        !read_words(file, training->default_joint_rad, POLICY_JOINTS) ||
        !read_words(file, training->order, POLICY_JOINTS))
        return "it ends within its header";
    if (sizes[0] < 1 || sizes[0] > MLP_LAYERS_MAX || sizes[1] > MLP_RELU)
        return "the number of layers or the activation is out of range";
    if ((sizes[2] != TRAINING_INPUTS && sizes[2] != TRAINING_INPUTS_WITH_VELOCITY) ||
        sizes[3] != POLICY_JOINTS)
        return "it needs 45 or 48 inputs and 12 outputs";
    mlp->layer_count = sizes[0];
    mlp->activation = sizes[1];
    training->inputs = sizes[2];
    training->action_scale = gains[0];
    training->stiffness = gains[1];
    training->damping = gains[2];
    if (!training_is_good(training))
        return "a scale, gain or angle is not finite, or the order does not name each joint once";
    return NULL;
}

static const char *read_layer(FILE *file, struct mlp_layer *layer, uint32_t inputs)
{
    uint32_t sizes[2];

    if (!read_words(file, sizes, 2))
        return "it ends before its last layer";
    if (sizes[0] != inputs || sizes[1] < 1 || sizes[1] > MLP_WIDTH_MAX)
        return "a layer does not fit the one before it, or is too wide";
    size_t weights = (size_t)sizes[0] * sizes[1];
    *layer = (struct mlp_layer){.inputs = sizes[0],
                                .outputs = sizes[1],
                                .weight = malloc(weights * sizeof(float)),
                                .bias = malloc(sizes[1] * sizeof(float))};
    if (!layer->weight || !layer->bias)
        return "there is not enough memory for it";
    if (!read_words(file, layer->weight, weights) || !read_words(file, layer->bias, sizes[1]))
        return "it ends within a layer";
    if (!all_finite(layer->weight, weights) || !all_finite(layer->bias, sizes[1]))
        return "a weight is not finite";
    return NULL;
}

static const char *read_all(FILE *file, struct mlp *mlp)
{
    const char *reason = read_header(file, mlp);
    uint32_t width = mlp->training.inputs;
    uint32_t widest = 0;

    for (unsigned i = 0; !reason && i < mlp->layer_count; i++) {
        reason = read_layer(file, &mlp->layers[i], width);
        width = mlp->layers[i].outputs;
        widest = width > widest ? width : widest;
    }
    if (reason)
        return reason;
    if (width != POLICY_JOINTS)
        return "its last layer does not have 12 outputs";
    if (fgetc(file) != EOF)
        return "it goes on after its last layer";
    mlp->scratch[0] = calloc(widest, sizeof(float));
    mlp->scratch[1] = calloc(widest, sizeof(float));
    return mlp->scratch[0] && mlp->scratch[1] ? NULL : "there is not enough memory for it";
}

int mlp_load(const char *path, struct mlp **ret_mlp, const char **ret_reason)
{
    FILE *file = fopen(path, "rbe");
    struct mlp *mlp;

    if (!file) {
        int error = -errno;
        *ret_reason = strerrordesc_np(-error);
        return error;
    }
    mlp = calloc(1, sizeof(*mlp));
    *ret_reason = mlp ? read_all(file, mlp) : "there is not enough memory for it";
    fclose(file);
    if (*ret_reason) {
        mlp_unload(mlp);
        return mlp ? -EPROTO : -ENOMEM;
    }
    *ret_mlp = mlp;
    return 0;
}

void mlp_unload(struct mlp *mlp)
{
    if (!mlp)
        return;
    for (unsigned i = 0; i < MLP_LAYERS_MAX; i++) {
        free(mlp->layers[i].weight);
        free(mlp->layers[i].bias);
    }
    free(mlp->scratch[0]);
    free(mlp->scratch[1]);
    free(mlp);
}

static void run_layer(const struct mlp_layer *layer, const float *input, float *output)
{
    for (uint32_t row = 0; row < layer->outputs; row++) {
        const float *weight = layer->weight + (size_t)row * layer->inputs;
        float sum = layer->bias[row];
        for (uint32_t i = 0; i < layer->inputs; i++)
            sum += weight[i] * input[i];
        output[row] = sum;
    }
}

static void activate(enum mlp_activation activation, float *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i] < 0)
            values[i] = activation == MLP_ELU ? expm1f(values[i]) : 0;
    }
}

void mlp_run(struct mlp *mlp, const float *input, float *output)
{
    for (uint32_t i = 0; i < mlp->layer_count; i++) {
        bool last = i + 1 == mlp->layer_count;
        float *to = last ? output : mlp->scratch[i % 2];
        run_layer(&mlp->layers[i], input, to);
        if (!last)
            activate((enum mlp_activation)mlp->activation, to, mlp->layers[i].outputs);
        input = to;
    }
}
