/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing. A refusal is logged and never fatal. */
#include "hal/realtime.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <sched.h>

#include "base/log.h"

#define TIMER_SLACK_NS 1000UL /* the default of 50 us would be our jitter */

void realtime_enter(const char *name, const struct realtime *wanted)
{
    struct sched_param parameters = {.sched_priority = wanted->fifo_priority};
    int error;
    cpu_set_t set;

    pthread_setname_np(pthread_self(), name);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    if (wanted->fifo_priority > 0) {
        error = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters);
        if (error)
            log_warning("%s: SCHED_FIFO %d is refused (%s), so other work delays this loop: give "
                        "CAP_SYS_NICE or raise RLIMIT_RTPRIO",
                        name, wanted->fifo_priority, strerrordesc_np(error));
    }
    if (wanted->cpu >= 0) {
        CPU_ZERO(&set);
        CPU_SET((size_t)wanted->cpu, &set);
        error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
        if (error)
            log_warning("%s: it cannot be pinned to CPU %d (%s): choose one of those in "
                        "/proc/self/status, Cpus_allowed_list",
                        name, wanted->cpu, strerrordesc_np(error));
    }
}

void realtime_lock_memory(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
        log_warning("memory cannot be locked (%s), so a page fault may delay a loop: give "
                    "CAP_IPC_LOCK or raise RLIMIT_MEMLOCK",
                    strerrordesc_np(errno));
}
