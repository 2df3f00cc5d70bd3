// SPDX-License-Identifier: Apache-2.0
//
// TorchScript networks as policies: the right ones are run and give what paper says, the wrong
// ones are refused. Built with -Dlibtorch=enabled. Prints "ok NAME" or "not ok NAME: why".
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <dlfcn.h>
#include <string>
#include <torch/script.h>

#include "hal/policy.h"

namespace
{

const policy *torchscript;
std::string path;
unsigned failures;

void expect(bool good, const char *name)
{
    printf("%s %s\n", good ? "ok" : "not ok", name);
    failures += !good;
}

void save(const char *code, const char *simcast_json)
{
    torch::jit::Module module("network");
    torch::jit::ExtraFilesMap extra;

    module.define(code);
    if (simcast_json)
        extra["simcast.json"] = simcast_json;
    module.save(path, extra);
}

int load(void **ret_state)
{
    char reason[256] = "";
    int error = torchscript->init(path.c_str(), ret_state, reason, sizeof(reason));

    if (error < 0)
        printf("(%s)\n", reason);
    return error;
}

bool is_refused(const char *code, const char *simcast_json, int wanted)
{
    void *state;

    save(code, simcast_json);
    int error = load(&state);
    if (error == 0)
        torchscript->fini(state);
    return error == wanted;
}

const char last_twelve[] = "def forward(self, x):\n  return x[:, -12:] + 1.0\n";

// The network adds 1 to its last output, so it counts its steps.
bool it_counts()
{
    policy_observation observation = {};
    float joints[POLICY_JOINTS];
    void *state;

    save(last_twelve, "{\"action_scale\": 0.5, \"default_joints\": [0,1,2,3,4,5,6,7,8,9,10,11],"
                      " \"order\": [11,10,9,8,7,6,5,4,3,2,1,0], \"stiffness\": 33}");
    if (load(&state) < 0)
        return false;
    bool good = torchscript->gains(state).stiffness_nm_per_rad == 33;
    for (int count = 1; count <= 3; count++) {
        good = good && torchscript->step(state, &observation, joints) == 0;
        for (int i = 0; i < POLICY_JOINTS; i++)
            good = good && std::fabs(joints[i] - (float(i) + 0.5F * float(count))) < 1e-5F;
    }
    torchscript->fini(state);
    return good;
}

bool it_sees_the_velocity()
{
    policy_observation observation = {};
    float joints[POLICY_JOINTS];
    void *state;

    // Only 48 inputs can be viewed as 4 x 12.
    save("def forward(self, x):\n  return x.view(4, 12)[0:1] * 1.0\n",
         "{\"action_scale\": 1, \"scales\": [3,1,1,1,1,1], \"default_joints\":"
         " [0,0,0,0,0,0,0,0,0,0,0,0]}");
    if (load(&state) < 0)
        return false;
    observation.linear_velocity_mps[1] = 2;
    bool good = torchscript->step(state, &observation, joints) == 0 && joints[1] == 6;
    torchscript->fini(state);
    return good;
}

bool a_step_that_fails_says_so()
{
    policy_observation observation = {};
    float joints[POLICY_JOINTS];
    void *state;

    save("def forward(self, x):\n  return x[:, :12] / x[:, 5:6]\n", nullptr);
    if (load(&state) < 0)
        return false;
    bool good = torchscript->step(state, &observation, joints) == -ERANGE; // 0 / 0
    torchscript->fini(state);
    return good;
}

} // namespace

int main(int argc, char **argv)
{
    char directory[] = "/tmp/simcast-test-XXXXXX";
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : nullptr;
    void *state;

    if (!library || !mkdtemp(directory)) {
        printf("not ok loading: %s\n", library ? "no directory" : dlerror());
        return 1;
    }
    auto entry = reinterpret_cast<const policy *(*)()>(dlsym(library, POLICY_SYMBOL));
    torchscript = entry();
    path = std::string(directory) + "/network.pt";
    expect(torchscript->abi_version == POLICY_ABI_VERSION && torchscript->joints == POLICY_JOINTS,
           "it fits the interface");
    expect(it_counts(), "a network counts its own steps");
    expect(it_sees_the_velocity(), "a network with 48 inputs sees the velocity");
    expect(a_step_that_fails_says_so(), "an output that is no number is none");
    expect(is_refused("def forward(self, x):\n  return x[:, :11]\n", nullptr, -ERANGE),
           "11 outputs are refused");
    expect(is_refused("def forward(self, x):\n  return x.view(1, 46)[:, :12]\n", nullptr, -ERANGE),
           "46 inputs are refused");
    expect(is_refused(last_twelve, "{\"order\": [0,0,2,3,4,5,6,7,8,9,10,11]}", -EPROTO),
           "an order that names a joint twice is refused");
    expect(is_refused(last_twelve, "{\"scales\": [1]}", -EPROTO), "one scale for six is refused");
    expect(is_refused(last_twelve, "{", -EPROTO), "half a JSON object is refused");
    FILE *file = fopen(path.c_str(), "w");
    fputs("no network", file);
    fclose(file);
    expect(load(&state) == -EPROTO, "another file is refused");
    unlink(path.c_str());
    expect(load(&state) == -EPROTO, "no file is refused");
    rmdir(directory);
    return failures > 0;
}
