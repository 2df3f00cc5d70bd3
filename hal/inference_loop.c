/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the inference thread and, on it, the link's inference side. A step that fails is counted
 * and gives no action; the HAL loop then stands after its patience.
 */
#include "hal/inference_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <semaphore.h>

#include "base/clock.h"
#include "base/log.h"

struct inference_loop {
    struct inference_loop_config config;
    pthread_t thread;
    sem_t ready;         /* posted once, when the sockets are open or cannot be */
    int start_error;     /* valid after `ready` */
    int64_t sim_time_ns; /* of the last observation; 0: none */
    bool failing;
};

static int step(struct inference_loop *loop, const struct hal_observation *seen,
                struct hal_action *ret_action)
{
    const struct loaded_policy *loaded = loop->config.policy;
    struct policy_observation observation = seen->policy; /* some 400 bytes, for dt_s */

    observation.dt_s = loop->sim_time_ns == 0 || observation.sim_time_ns < loop->sim_time_ns
                           ? 0
                           : (float)(observation.sim_time_ns - loop->sim_time_ns) * 1e-9F;
    loop->sim_time_ns = observation.sim_time_ns;
    *ret_action = (struct hal_action){
        .sent_ns = seen->sent_ns,
        .state_ns = observation.state_ns,
        .step = observation.step,
    };
    int error = loaded->policy->step(loaded->state, &observation, ret_action->joint_position_rad);
    if (error < 0 && !loop->failing)
        log_warning("policy %s failed: %s; the robot stands until it works again",
                    loaded->policy->name, strerrordesc_np(-error));
    loop->failing = error < 0;
    return error;
}

static void account(struct inference_loop *loop, int64_t begin_ns, int error)
{
    struct stats *stats = loop->config.stats;
    int64_t took_ns = clock_now_ns() - begin_ns;

    stats_lock(stats);
    histogram_record(&stats->values.step, took_ns);
    stats->values.missed = loop_link_missed(loop->config.link);
    stats->values.policy_errors += error < 0;
    stats_unlock(stats);
}

static void *run(void *argument)
{
    struct inference_loop *loop = argument;
    struct loop_link *link = loop->config.link;
    const struct hal_observation *observation;
    struct hal_action action;

    realtime_enter("inference", &loop->config.realtime);
    loop->start_error = loop_link_inference_open(link);
    bool open = loop->start_error == 0;
    sem_post(&loop->ready);
    while (open && loop_link_wait_observation(link, &observation) == 0) {
        int64_t begin_ns = clock_now_ns();
        int error = step(loop, observation, &action);
        if (error == 0 && loop_link_send_action(link, &action) < 0)
            break;
        account(loop, begin_ns, error);
    }
    loop_link_inference_close(link);
    return NULL;
}

int inference_loop_create(const struct inference_loop_config *config,
                          struct inference_loop **ret_loop)
{
    struct inference_loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return -ENOMEM;
    loop->config = *config;
    sem_init(&loop->ready, 0, 0);
    int error = -pthread_create(&loop->thread, NULL, run, loop);
    if (error < 0) {
        sem_destroy(&loop->ready);
        free(loop);
        return error;
    }
    while (sem_wait(&loop->ready) < 0 && errno == EINTR)
        continue;
    error = loop->start_error;
    if (error < 0) {
        inference_loop_destroy(loop);
        return error;
    }
    *ret_loop = loop;
    return 0;
}

void inference_loop_destroy(struct inference_loop *loop)
{
    if (!loop)
        return;
    pthread_join(loop->thread, NULL);
    sem_destroy(&loop->ready);
    free(loop);
}
