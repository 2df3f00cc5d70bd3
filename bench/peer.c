/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children by fork. The process number is the one that fork returned and is dropped when the
 * child was waited for, so a signal can reach nobody else.
 */
#include "bench/peer.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sched.h>

#include "base/clock.h"

void *peer_share(size_t bytes)
{
    void *shared =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    return shared == MAP_FAILED ? NULL : shared;
}

void peer_unshare(void *shared, size_t bytes)
{
    if (shared)
        munmap(shared, bytes);
}

int peer_start(struct peer *peer, int (*body)(void *context), void *context)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it died before the line above */
            _exit(1);
        _exit(body(context));
    }
    peer->pid = pid;
    return 0;
}

int peer_signal(const struct peer *peer, int signal)
{
    siginfo_t now = {0};

    if (peer->pid <= 1)
        return -ESRCH;
    if (kill(peer->pid, signal) < 0)
        return -errno;
    if (signal != SIGSTOP)
        return 0;
    /* Only looks: an end that comes instead is left for peer_join. */
    if (waitid(P_PID, (id_t)peer->pid, &now, WSTOPPED | WEXITED | WNOWAIT) < 0)
        return -errno;
    return now.si_code == CLD_STOPPED ? 0 : -EPIPE;
}

int peer_join(struct peer *peer, int timeout_ms)
{
    int64_t give_up_ns = clock_now_ns() + timeout_ms * NS_PER_MS;
    int status = 0;
    int killed = 0;

    if (peer->pid <= 1)
        return 0;
    while (waitpid(peer->pid, &status, killed ? 0 : WNOHANG) == 0) {
        if (clock_now_ns() >= give_up_ns) {
            peer_signal(peer, SIGKILL);
            killed = -ETIMEDOUT;
        } else {
            poll(NULL, 0, 1);
        }
    }
    peer->pid = 0;
    if (killed)
        return killed;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPIPE;
}

void peer_keep_half(unsigned half)
{
    static cpu_set_t allowed; /* before the first call; children inherit it with us */
    static int cores;
    cpu_set_t kept;
    int seen = 0;

    if (cores == 0 && sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        cores = CPU_COUNT(&allowed);
    CPU_ZERO(&kept);
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed))
            continue;
        if ((seen >= cores / 2) == (half == 1))
            CPU_SET(core, &kept);
        seen++;
    }
    if (cores > 1)
        sched_setaffinity(0, sizeof(kept), &kept);
}

bool peer_await(const _Atomic uint32_t *counter, uint32_t at_least, int timeout_ms)
{
    int64_t give_up_ns = clock_now_ns() + timeout_ms * NS_PER_MS;

    while (atomic_load_explicit(counter, memory_order_acquire) < at_least) {
        if (clock_now_ns() >= give_up_ns)
            return false;
        poll(NULL, 0, 1);
    }
    return true;
}
