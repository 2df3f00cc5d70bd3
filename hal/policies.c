/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the handles of shared objects. What a shared object says of itself is checked first. */
#include "hal/policies.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <dlfcn.h>

#include "base/log.h"

#define NAME_BYTES 1024
#define REASON_BYTES 256

/* NOLINTBEGIN(readability-non-const-parameter): the interface of all policies */
static int no_step(void *state, const struct policy_observation *observation,
                   float ret_joints_rad[POLICY_JOINTS])
/* NOLINTEND(readability-non-const-parameter) */
{
    (void)state;
    (void)observation;
    (void)ret_joints_rad;
    return -ENOTSUP;
}

const struct policy *policy_external(void)
{
    static const struct policy policy = {
        .abi_version = POLICY_ABI_VERSION,
        .observation_bytes = sizeof(struct policy_observation),
        .joints = POLICY_JOINTS,
        .name = "external",
        .version = "1",
        .step = no_step,
    };

    return &policy;
}

static const struct policy *built_in(const char *name)
{
    const struct policy *policies[] = {policy_stand(), policy_trot(), policy_mlp(),
                                       policy_external()};

    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (strcmp(policies[i]->name, name) == 0)
            return policies[i];
    }
    return NULL;
}

static int open_library(const char *path, struct loaded_policy *loaded)
{
    const struct policy *(*entry)(void);

    loaded->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!loaded->library) {
        log_error("policy %s cannot be loaded: %s", path, dlerror());
        return -ENOENT;
    }
    void *symbol = dlsym(loaded->library, POLICY_SYMBOL);
    memcpy(&entry, &symbol, sizeof(entry)); /* POSIX allows it, ISO C has no cast for it */
    loaded->policy = symbol ? entry() : NULL;
    if (!loaded->policy) {
        log_error("%s is no policy: it exports no %s(); hal/policy.h describes it", path,
                  POLICY_SYMBOL);
        return -ENOENT;
    }
    return 0;
}

/* The first fields are the same in every version of the interface. */
static int check(const struct policy *policy, const char *path)
{
    if (policy->abi_version != POLICY_ABI_VERSION) {
        log_error("policy %s speaks version %u of the policy interface, this program %d: build it "
                  "against this version's policy.h",
                  path, policy->abi_version, POLICY_ABI_VERSION);
        return -EPROTONOSUPPORT;
    }
    if (policy->joints != POLICY_JOINTS ||
        policy->observation_bytes != sizeof(struct policy_observation)) {
        log_error("policy %s is made for %u joints and observations of %u bytes, not %d and %zu",
                  path, policy->joints, policy->observation_bytes, POLICY_JOINTS,
                  sizeof(struct policy_observation));
        return -ERANGE;
    }
    if (!policy->step || !policy->name || !policy->version) {
        log_error("policy %s lacks a name, a version or a step function", path);
        return -EINVAL;
    }
    return 0;
}

static int find(const char *name, struct loaded_policy *loaded)
{
    loaded->policy = built_in(name);
    if (loaded->policy)
        return 0;
    if (!strchr(name, '/')) {
        log_error("there is no policy '%s': give stand, trot, mlp:FILE, external or the path "
                  "of a shared object, such as ./%s.so",
                  name, name);
        return -ENOENT;
    }
    return open_library(name, loaded);
}

int policy_load(const char *name, struct loaded_policy *ret_policy)
{
    struct loaded_policy loaded = {0};
    char path[NAME_BYTES];
    char reason[REASON_BYTES] = "";
    const char *colon = strchr(name, ':');
    int length = colon ? (int)(colon - name) : (int)strlen(name);

    if ((size_t)length >= sizeof(path)) {
        log_error("the policy's name, which begins with '%.32s', has %d bytes: give one of at most "
                  "%zu before its ':'",
                  name, length, sizeof(path) - 1);
        return -ENAMETOOLONG;
    }
    snprintf(path, sizeof(path), "%.*s", length, name);
    int error = find(path, &loaded);
    if (error == 0)
        error = check(loaded.policy, path);
    if (error == 0 && loaded.policy->init) {
        error = loaded.policy->init(colon ? colon + 1 : "", &loaded.state, reason, sizeof(reason));
        if (error < 0)
            log_error("policy %s cannot start: %s", name,
                      reason[0] ? reason : strerrordesc_np(-error));
    }
    if (error < 0) {
        if (loaded.library)
            dlclose(loaded.library);
        return error;
    }
    *ret_policy = loaded;
    return 0;
}

void policy_unload(struct loaded_policy *loaded)
{
    if (loaded->policy && loaded->policy->fini)
        loaded->policy->fini(loaded->state);
    if (loaded->library)
        dlclose(loaded->library);
    *loaded = (struct loaded_policy){0};
}
