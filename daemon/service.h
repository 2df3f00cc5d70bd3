/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process as its manager sees it: signals come in through a descriptor; systemd hears that we
 * are ready, reloading, stopping, how we are, and from the gate's tick that we are alive.
 *
 * Thread: the loop.
 */
#ifndef SIMCAST_DAEMON_SERVICE_H
#define SIMCAST_DAEMON_SERVICE_H

#include <signal.h>
#include <stdint.h>

/* Embed it; the fields belong to service.c. */
struct service {
    sigset_t old_signals;
    int signal_fd;
    int64_t watchdog_ns; /* period of the pings; 0: nobody asks for them */
    int64_t pinged_ns;
};

/*
 * Blocks SIGTERM, SIGINT and SIGHUP: call it before there are other threads.
 * Errors: -EMFILE and the like; call service_close in either case.
 */
int service_open(struct service *service);
void service_close(struct service *service);

/* Readable when service_signal has one. Borrowed. */
int service_fd(const struct service *service);

/* The next signal that came, or 0. */
int service_signal(struct service *service);

void service_ready(struct service *service);
void service_reloading(int64_t now_ns);
void service_stopping(void);

/* systemd hears of us from the tick that runs the gate: a stuck gate is a dead daemon. */
void service_tick(struct service *service, int64_t now_ns);

/* One line for `systemctl status`. */
void service_status(const char *status);

#endif
