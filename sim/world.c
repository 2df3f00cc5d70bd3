/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the robot (or the point) and the physics thread. The lock guards orders and snapshot
 * only, never a step. Cannot fail once the thread runs.
 */
#include "sim/world.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "sim/kinematic.h"

#define BEHIND_NS_MAX (100 * NS_PER_MS)
#define FOLLOWER_SLOWER 0.15
#define FOLLOWER_TURN_RADPS 0.3

struct world {
    struct robot *robot; /* NULL: `point` instead */
    struct kinematic point;
    pthread_t thread;
    bool running;
    atomic_bool stop; /* relaxed: the join orders everything else */
    pthread_mutex_t lock;
    struct world_orders orders;     /* guarded by lock */
    struct world_snapshot snapshot; /* guarded by lock */
    struct robot_link *link;        /* guarded by lock; NULL: none */
    struct world *leader;           /* guarded by lock; NULL: obeys its own orders */
    unsigned number;                /* among the followers */
};

static void take_snapshot(const struct world *world, const struct world_orders *orders,
                          struct world_snapshot *ret_snapshot)
{
    if (world->robot) {
        robot_observe(world->robot, &ret_snapshot->state);
        robot_pose(world->robot, &ret_snapshot->pose);
        ret_snapshot->fallen = robot_has_fallen(world->robot);
    } else {
        kinematic_observe(&world->point, &ret_snapshot->state);
    }
    ret_snapshot->state.mode = orders->mode;
    ret_snapshot->state.cmd_seq = orders->cmd_seq;
}

/* Whoever drives the joints in this step: the action ring while it may, else our own gait. */
static void choose_driver(struct robot *robot, struct robot_link *link,
                          const struct world_orders *orders)
{
    struct robot_drive drive;
    bool driven = !robot_has_fallen(robot) &&
                  robot_link_drive(link, (enum gate_mode)orders->mode, clock_now_ns(), &drive);

    robot_drive(robot, driven ? &drive : NULL);
}

static void step(struct world *world, const struct world_orders *orders, struct robot_link *link)
{
    if (world->robot && link)
        choose_driver(world->robot, link, orders);
    if (world->robot)
        robot_step(world->robot, &orders->input);
    else
        kinematic_step(&world->point, &orders->input);
}

static void reset(struct world *world)
{
    if (world->robot)
        robot_reset(world->robot);
    else
        kinematic_reset(&world->point);
}

static void sleep_until(int64_t when_ns)
{
    struct timespec when = {.tv_sec = when_ns / NS_PER_S, .tv_nsec = when_ns % NS_PER_S};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        continue;
}

/* What to do in this step, and with which link. */
static struct robot_link *take_orders(struct world *world, struct world_orders *ret_orders)
{
    pthread_mutex_lock(&world->lock);
    struct robot_link *link = world->link;
    struct world *leader = world->leader;
    unsigned number = world->number;
    *ret_orders = world->orders;
    pthread_mutex_unlock(&world->lock);
    if (!leader)
        return link;
    pthread_mutex_lock(&leader->lock);
    *ret_orders = leader->orders;
    pthread_mutex_unlock(&leader->lock);
    ret_orders->input.velocity[0] *= 1.0 / (1.0 + FOLLOWER_SLOWER * number);
    if (ret_orders->input.velocity[0] != 0)
        ret_orders->input.velocity[2] += FOLLOWER_TURN_RADPS * (number % 2 ? 1 : -1);
    return link;
}

static void *run(void *argument)
{
    struct world *world = argument;
    struct world_snapshot snapshot = {0};
    struct world_orders orders;
    struct robot_link *link;
    uint32_t resets = 0;
    int64_t next_ns = clock_now_ns();

    while (!atomic_load_explicit(&world->stop, memory_order_relaxed)) {
        link = take_orders(world, &orders);
        if (orders.resets != resets)
            reset(world);
        resets = orders.resets;
        if (!orders.paused)
            step(world, &orders, link);
        take_snapshot(world, &orders, &snapshot);
        pthread_mutex_lock(&world->lock);
        world->snapshot = snapshot;
        pthread_mutex_unlock(&world->lock);
        if (link)
            robot_link_publish(link, &snapshot.state);

        next_ns += ROBOT_STEP_NS;
        int64_t now_ns = clock_now_ns();
        if (now_ns - next_ns > BEHIND_NS_MAX)
            next_ns = now_ns;
        sleep_until(next_ns);
    }
    return NULL;
}

int world_create(bool with_body, struct world **ret_world)
{
    struct world *world = calloc(1, sizeof(*world));
    int error = 0;

    if (!world)
        return -ENOMEM;
    pthread_mutex_init(&world->lock, NULL);
    world->orders.input.alpha = 1;
    if (with_body)
        error = robot_create(&world->robot);
    if (error == 0) {
        take_snapshot(world, &world->orders, &world->snapshot);
        error = -pthread_create(&world->thread, NULL, run, world);
        world->running = error == 0;
    }
    if (error < 0) {
        world_destroy(world);
        return error;
    }
    pthread_setname_np(world->thread, "physics");
    *ret_world = world;
    return 0;
}

void world_destroy(struct world *world)
{
    if (!world)
        return;
    atomic_store_explicit(&world->stop, true, memory_order_relaxed);
    if (world->running)
        pthread_join(world->thread, NULL);
    robot_destroy(world->robot);
    pthread_mutex_destroy(&world->lock);
    free(world);
}

void world_link(struct world *world, struct robot_link *link)
{
    pthread_mutex_lock(&world->lock);
    world->link = link;
    pthread_mutex_unlock(&world->lock);
}

void world_follow(struct world *world, struct world *leader, unsigned number)
{
    pthread_mutex_lock(&world->lock);
    world->leader = leader;
    world->number = number;
    pthread_mutex_unlock(&world->lock);
}

void world_order(struct world *world, const struct world_orders *orders)
{
    pthread_mutex_lock(&world->lock);
    world->orders = *orders;
    pthread_mutex_unlock(&world->lock);
}

void world_observe(struct world *world, struct world_snapshot *ret_snapshot)
{
    pthread_mutex_lock(&world->lock);
    *ret_snapshot = world->snapshot;
    pthread_mutex_unlock(&world->lock);
}

const struct robot *world_robot(const struct world *world)
{
    return world->robot;
}
