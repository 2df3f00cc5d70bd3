/* SPDX-License-Identifier: Apache-2.0 */
/* Owns two ring consumers. A ring that is not there is waited for. */
#include "hal/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "proto/robot_action.h"
#include "safety/gate.h"
#include "shm/ring.h"

#define TICK_MS 100

static const char *mode_name(uint32_t mode)
{
    return mode <= GATE_ESTOP ? gate_mode_name((enum gate_mode)mode) : "unknown";
}

static void print_floats(const char *name, const float *values, unsigned count)
{
    printf(",\"%s\":[", name);
    for (unsigned i = 0; i < count; i++)
        printf("%s%.4f", i ? "," : "", (double)values[i]);
    putchar(']');
}

static void print_state(const struct ring_view *view)
{
    struct robot_state state;

    if (view->frame.payload_bytes != sizeof(state))
        return;
    memcpy(&state, view->payload, sizeof(state));
    printf("{\"kind\":\"state\",\"seq\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"step\":%" PRIu64
           ",\"sim_time\":%.3f,\"mode\":\"%s\"",
           view->frame.seq, view->lost, state.step, (double)state.sim_time_ns / (double)NS_PER_S,
           mode_name(state.mode));
    print_floats("command", state.command, 3);
    print_floats("linear_velocity", state.linear_velocity_mps, 3);
    print_floats("joint_position", state.joint_position_rad, ROBOT_JOINTS);
    puts("}");
}

static void print_action(const struct ring_view *view)
{
    struct robot_action action;

    if (view->frame.payload_bytes != sizeof(action))
        return;
    memcpy(&action, view->payload, sizeof(action));
    printf("{\"kind\":\"action\",\"seq\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"step\":%" PRIu64
           ",\"mode\":\"%s\",\"age_us\":%.1f",
           view->frame.seq, view->lost, action.step, mode_name(action.mode),
           (double)(action.made_ns - action.state_ns) / (double)NS_PER_US);
    print_floats("joint_position", action.joint_position_rad, ROBOT_JOINTS);
    printf(",\"stiffness\":%.1f,\"damping\":%.2f}\n", (double)action.stiffness_nm_per_rad,
           (double)action.damping_nms_per_rad);
}

static void print_all(struct ring_consumer *ring, void (*print)(const struct ring_view *view))
{
    struct ring_view view;

    while (ring_acquire(ring, RING_NEXT, &view) == 0) {
        print(&view);
        (void)ring_release(ring, &view);
    }
}

static void loop(struct ring_consumer *states, struct ring_consumer *actions, unsigned seconds,
                 int stop_fd)
{
    struct pollfd fds[] = {{.fd = stop_fd, .events = POLLIN},
                           {.fd = ring_consumer_fd(states), .events = POLLIN},
                           {.fd = ring_consumer_fd(actions), .events = POLLIN}};
    int64_t end_ns = seconds ? clock_now_ns() + (int64_t)seconds * NS_PER_S : INT64_MAX;

    while (fds[0].revents == 0 && !ferror(stdout) && clock_now_ns() < end_ns) {
        poll(fds, 3, TICK_MS);
        print_all(states, print_state);
        print_all(actions, print_action);
        fflush(stdout);
    }
}

int hal_dump(const char *dir, const char *stream, unsigned seconds, int stop_fd)
{
    struct ring_consumer_config config = {.dir = dir, .stream = stream, .kind = RING_KIND_STATE};
    struct ring_consumer *states = NULL;
    struct ring_consumer *actions = NULL;
    int error = ring_consumer_open(&config, &states);

    config.kind = RING_KIND_ACTIONS;
    if (error == 0)
        error = ring_consumer_open(&config, &actions);
    if (error == 0)
        loop(states, actions, seconds, stop_fd);
    ring_consumer_close(actions);
    ring_consumer_close(states);
    return error;
}
