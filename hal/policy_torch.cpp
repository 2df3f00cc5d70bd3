// SPDX-License-Identifier: Apache-2.0
//
// A TorchScript network as a policy, a shared object of its own:
//
//     simcast-hal --policy .../libsimcast_policy_torch.so:NETWORK.pt
//
// NETWORK.pt is what torch.jit.save wrote: float[1, 45 or 48] -> float[1, 12], fed as trained
// networks for legs are (hal/training.h). What differs from legged_gym's usual numbers it brings
// along as its extra file "simcast.json", all keys optional:
//
//     {"scales": [6 numbers], "default_joints": [12], "order": [12], "action_scale", "stiffness",
//      "damping"}
//
// C++, and the only file that is: libtorch has no interface in C. Built with -Dlibtorch=enabled.
// Owns the network; no exception leaves it. Runs on the CPU, in one thread: the inference loop's.
#include <ATen/Parallel.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <jansson.h>
#include <memory>
#include <string>
#include <torch/script.h>
#include <torch/version.h>

#include "hal/policy.h"
#include "hal/training.h"

namespace
{

constexpr training usual = {
    TRAINING_INPUTS,
    0.25F,
    20,
    0.5F,
    {2, 0.25F, 2, 0.25F, 1, 0.05F},
    {0.1F, 0.8F, -1.5F, -0.1F, 0.8F, -1.5F, 0.1F, 1, -1.5F, -0.1F, 1, -1.5F},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
    {},
};

struct network {
    torch::jit::Module module;
    training form = usual;
};

// A list of exactly `count` numbers, if it is there at all.
bool read_numbers(const json_t *object, const char *key, float *to, size_t count)
{
    const json_t *list = json_object_get(object, key);

    if (list && json_array_size(list) != count)
        return false;
    for (size_t i = 0; list && i < count; i++) {
        const json_t *number = json_array_get(list, i);
        if (!json_is_number(number))
            return false;
        to[i] = static_cast<float>(json_number_value(number));
    }
    return true;
}

bool read_order(const json_t *object, uint32_t order[POLICY_JOINTS])
{
    float numbers[POLICY_JOINTS];

    for (size_t i = 0; i < POLICY_JOINTS; i++)
        numbers[i] = static_cast<float>(order[i]);
    if (!read_numbers(object, "order", numbers, POLICY_JOINTS))
        return false;
    for (size_t i = 0; i < POLICY_JOINTS; i++) {
        if (!(numbers[i] >= 0 && numbers[i] < POLICY_JOINTS))
            return false;
        order[i] = static_cast<uint32_t>(numbers[i]);
    }
    return true;
}

bool read_number(const json_t *object, const char *key, float *to)
{
    const json_t *number = json_object_get(object, key);

    if (number)
        *to = static_cast<float>(json_number_value(number));
    return !number || json_is_number(number);
}

bool read_form(const std::string &text, training *form)
{
    if (text.empty())
        return true;
    json_t *object = json_loadb(text.data(), text.size(), 0, nullptr);
    bool good = json_is_object(object) &&
                read_numbers(object, "scales", form->scale, TRAINING_SCALE_COUNT) &&
                read_numbers(object, "default_joints", form->default_joint_rad, POLICY_JOINTS) &&
                read_order(object, form->order) &&
                read_number(object, "action_scale", &form->action_scale) &&
                read_number(object, "stiffness", &form->stiffness) &&
                read_number(object, "damping", &form->damping);
    json_decref(object);
    return good && training_is_good(form);
}

torch::Tensor run(network &net, const float *input)
{
    c10::InferenceMode guard;
    auto size = static_cast<int64_t>(net.form.inputs);
    torch::Tensor tensor = torch::from_blob(const_cast<float *>(input), {1, size});

    return net.module.forward({tensor}).toTensor().to(torch::kFloat32).contiguous();
}

// Whether the network takes so many inputs and gives twelve outputs for them.
bool fits(network &net, uint32_t inputs)
{
    const float zeros[TRAINING_INPUTS_WITH_VELOCITY] = {};

    net.form.inputs = inputs;
    try {
        return run(net, zeros).numel() == POLICY_JOINTS;
    } catch (const std::exception &) {
        return false;
    }
}

int start(const char *path, network &net, char *reason, uint32_t reason_bytes)
{
    torch::jit::ExtraFilesMap extra = {{"simcast.json", ""}};

    at::set_num_threads(1);
    net.module = torch::jit::load(path, torch::kCPU, extra);
    net.module.eval();
    if (!read_form(extra["simcast.json"], &net.form)) {
        snprintf(reason, reason_bytes, "%s: its simcast.json is not as hal/policy_torch.cpp says",
                 path);
        return -EPROTO;
    }
    if (fits(net, TRAINING_INPUTS) || fits(net, TRAINING_INPUTS_WITH_VELOCITY))
        return 0;
    snprintf(reason, reason_bytes, "%s: it needs 45 or 48 inputs and 12 outputs", path);
    return -ERANGE;
}

int init(const char *argument, void **ret_state, char *reason, uint32_t reason_bytes)
{
    if (argument[0] == '\0') {
        snprintf(reason, reason_bytes, "write the network's file behind it, with a colon between");
        return -EINVAL;
    }
    try {
        auto net = std::make_unique<network>();
        int error = start(argument, *net, reason, reason_bytes);
        if (error < 0)
            return error;
        *ret_state = net.release();
        return 0;
    } catch (const std::exception &why) {
        // The first line: libtorch adds a trace of its own.
        snprintf(reason, reason_bytes, "%s is no TorchScript network: %.*s", argument,
                 static_cast<int>(strcspn(why.what(), "\n")), why.what());
        return -EPROTO;
    }
}

int step(void *state, const policy_observation *observation, float ret_joints_rad[POLICY_JOINTS])
{
    auto *net = static_cast<network *>(state);
    float input[TRAINING_INPUTS_WITH_VELOCITY];

    training_observe(&net->form, observation, input);
    try {
        torch::Tensor output = run(*net, input);
        return training_act(&net->form, output.data_ptr<float>(), ret_joints_rad);
    } catch (const std::exception &) {
        return -EIO;
    }
}

void fini(void *state)
{
    delete static_cast<network *>(state);
}

policy_gains gains(const void *state)
{
    const auto *net = static_cast<const network *>(state);

    return {net->form.stiffness, net->form.damping};
}

} // namespace

const policy *simcast_policy(void)
{
    static const policy torchscript = {
        POLICY_ABI_VERSION,
        sizeof(policy_observation),
        POLICY_JOINTS,
        POLICY_FOLLOWS_COMMAND,
        "torchscript",
        TORCH_VERSION,
        init,
        step,
        fini,
        gains,
    };

    return &torchscript;
}
