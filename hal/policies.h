/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds and starts a policy: "stand", "trot", "mlp:FILE", "external", or the path of a shared
 * object, with ":ARGUMENT" behind it if it takes one.
 *
 * Thread: load and unload on one thread.
 */
#ifndef SIMCAST_HAL_POLICIES_H
#define SIMCAST_HAL_POLICIES_H

#include "hal/policy.h"

/* Embed it. Read `policy` and `state`. */
struct loaded_policy {
    const struct policy *policy;
    void *state;
    void *library; /* NULL: built in */
};

/*
 * Errors, logged as one sentence: -ENOENT no such policy or file; -ENAMETOOLONG a name or path of
 * 1024 bytes or more; -EPROTONOSUPPORT another version of the interface; -ERANGE other dimensions;
 * what the policy's init said.
 */
int policy_load(const char *name, struct loaded_policy *ret_policy);

/* Takes a zeroed one. */
void policy_unload(struct loaded_policy *loaded);

/* Built in; one file each. */
const struct policy *policy_stand(void);
const struct policy *policy_trot(void);
const struct policy *policy_mlp(void);

/* A program at the endpoint: never asked for a step. It stands at HOLD, for it sees no command. */
const struct policy *policy_external(void);

#endif
