/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one event loop of simcastd: descriptors and timers. Home of libev, which libwebsockets
 * shares through loop_native().
 *
 * libev, because libwebsockets' own poll() loop needs 0.8 ms to wake up with 1,000 connections
 * and libev's epoll 0.04 ms. Debian ships the connection between the two as a plug-in
 * (libwebsockets-evlib-ev), which libwebsockets-dev pulls in.
 *
 * Thread: the one that calls loop_run. A callback may destroy any watch but its own.
 */
#ifndef SIMCAST_DAEMON_LOOP_H
#define SIMCAST_DAEMON_LOOP_H

#include <stdint.h>

struct loop;
struct loop_watch;

typedef void (*loop_callback)(void *data);

/* Errors: -ENOMEM (or no epoll). */
int loop_create(struct loop **ret_loop);

/* Takes NULL. All watches must be gone. */
void loop_destroy(struct loop *loop);

/* Calls back whenever `fd` is readable (level-triggered). Errors: -ENOMEM. */
int loop_watch_fd(struct loop *loop, int fd, loop_callback callback, void *data,
                  struct loop_watch **ret_watch);

/* Calls back every period_ns, first after one period. Errors: -ENOMEM. */
int loop_watch_time(struct loop *loop, int64_t period_ns, loop_callback callback, void *data,
                    struct loop_watch **ret_watch);

/* A timer's new period, from now on. */
void loop_watch_set_period(struct loop_watch *watch, int64_t period_ns);

/* A descriptor's watch only. Pausing what is paused does nothing, nor does resuming what is not. */
void loop_watch_pause(struct loop_watch *watch);
void loop_watch_resume(struct loop_watch *watch);

/* Takes NULL. */
void loop_watch_destroy(struct loop_watch *watch);

/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Handles what is ready now, without waiting. */
void loop_run_once(struct loop *loop);

/* The `struct ev_loop *` for libwebsockets. */
void *loop_native(struct loop *loop);

#endif
