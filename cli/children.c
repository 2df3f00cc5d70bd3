/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the processes, the pipes of their output and one epoll set over both (pidfds tell of
 * deaths, so no SIGCHLD). A child that cannot be started again is tried again like one that died.
 */
#include "cli/children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sysexits.h>

#include "base/clock.h"
#include "base/log.h"

#define RESTART_DELAY_NS (300 * NS_PER_MS)
#define STOP_PATIENCE_NS (3 * NS_PER_S)
#define SHORT_LIFE_NS NS_PER_S
#define SHORT_LIVES_MAX 5
#define EXIT_NO_PROGRAM 127
#define LINE_BYTES 1024

struct child {
    const char *name;
    const char *const *argv;
    pid_t pid;        /* 0: not running */
    int pid_fd;       /* -1: not running */
    int output_fd;    /* -1: closed */
    int64_t start_ns; /* of the running one */
    int64_t due_ns;   /* when to start again; meaningful while not running */
    unsigned short_lives;
    bool given_up;
    char line[LINE_BYTES]; /* what was written since the last line end */
    size_t line_bytes;
};

struct children {
    int epoll_fd;
    unsigned count;
    struct child list[CHILDREN_MAX];
};

int children_create(struct children **ret_children)
{
    struct children *children = calloc(1, sizeof(*children));

    if (!children)
        return -ENOMEM;
    children->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (children->epoll_fd < 0) {
        free(children);
        return -EMFILE;
    }
    *ret_children = children;
    return 0;
}

int children_fd(const struct children *children)
{
    return children->epoll_fd;
}

/* ---- output ------------------------------------------------------------------------------- */

/* One write per line, with the name in front unless the program put it there itself. */
static void pass_on_line(struct child *child)
{
    char text[LINE_BYTES + 64];
    size_t name_bytes = strlen(child->name);
    bool named = child->line_bytes > name_bytes && child->line[name_bytes] == ':' &&
                 memcmp(child->line, child->name, name_bytes) == 0;
    int count = snprintf(text, sizeof(text), "%s%s%.*s\n", named ? "" : child->name,
                         named ? "" : ": ", (int)child->line_bytes, child->line);

    child->line_bytes = 0;
    ssize_t written = write(STDERR_FILENO, text, (size_t)count);
    (void)written;
}

static void take_output(struct child *child, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != '\n')
            child->line[child->line_bytes++] = bytes[i];
        if (bytes[i] == '\n' || child->line_bytes == LINE_BYTES)
            pass_on_line(child);
    }
}

static void read_output(struct child *child)
{
    char bytes[4096];
    ssize_t count = 0;

    if (child->output_fd < 0)
        return;
    while ((count = read(child->output_fd, bytes, sizeof(bytes))) > 0)
        take_output(child, bytes, (size_t)count);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(child->output_fd); /* which also takes it out of the epoll set */
    child->output_fd = -1;
    if (child->line_bytes > 0)
        pass_on_line(child);
}

/* ---- start -------------------------------------------------------------------------------- */

static _Noreturn void become(const struct child *child, pid_t parent, int output_fd)
{
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); /* the parent died before the line above */
    setpgid(0, 0);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd >= 0)
        dup2(null_fd, STDIN_FILENO);
    dup2(output_fd, STDOUT_FILENO);
    dup2(output_fd, STDERR_FILENO);
    execv(child->argv[0], (char *const *)child->argv);
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", child->argv[0], strerrordesc_np(errno));
    _exit(EXIT_NO_PROGRAM);
}

static void watch(struct children *children, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    epoll_ctl(children->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int start(struct children *children, struct child *child)
{
    pid_t parent = getpid();
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0)
        become(child, parent, fds[1]);
    int error = -errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return error;
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    child->pid = pid;
    child->pid_fd = pidfd_open(pid, 0);
    child->output_fd = fds[0];
    child->start_ns = clock_now_ns();
    watch(children, child->output_fd);
    watch(children, child->pid_fd);
    return 0;
}

int children_start(struct children *children, const char *name, const char *const *argv)
{
    if (children->count == CHILDREN_MAX)
        return -ENOSPC;
    struct child *child = &children->list[children->count];
    *child = (struct child){.name = name, .argv = argv, .pid_fd = -1, .output_fd = -1};
    int error = start(children, child);
    if (error == 0)
        children->count++;
    return error;
}

/* ---- death and restart -------------------------------------------------------------------- */

/* Says how it ended. Returns whether starting it again makes sense. */
static bool judge(struct child *child, int status, int64_t now_ns)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool short_life = code >= 0 && now_ns - child->start_ns < SHORT_LIFE_NS;

    child->short_lives = short_life ? child->short_lives + 1 : 0;
    if (code == EX_CONFIG || code == EXIT_NO_PROGRAM) {
        log_error("%s cannot run, see above", child->name);
        return false;
    }
    if (child->short_lives == SHORT_LIVES_MAX) {
        log_error("%s ended with exit code %d %d times in a row, see above", child->name, code,
                  SHORT_LIVES_MAX);
        return false;
    }
    if (code >= 0)
        log_warning("%s ended with exit code %d; starting it again", child->name, code);
    else
        log_warning("%s was killed by signal %d; starting it again", child->name, WTERMSIG(status));
    return true;
}

/* Returns whether the child is dead; ret_status is set then. */
static bool reap(struct child *child, int *ret_status)
{
    if (child->pid == 0 || waitpid(child->pid, ret_status, WNOHANG) != child->pid)
        return false;
    read_output(child);
    close(child->pid_fd);
    child->pid_fd = -1;
    child->pid = 0;
    return true;
}

static int serve_one(struct children *children, struct child *child, int64_t now_ns)
{
    int status;

    read_output(child);
    if (reap(child, &status)) {
        child->given_up = !judge(child, status, now_ns);
        child->due_ns = now_ns + RESTART_DELAY_NS;
    }
    if (child->given_up)
        return -ECHILD;
    if (child->pid == 0 && now_ns >= child->due_ns && start(children, child) < 0)
        child->due_ns = now_ns + RESTART_DELAY_NS;
    return 0;
}

int children_serve(struct children *children, int64_t now_ns)
{
    int result = 0;

    for (unsigned i = 0; i < children->count; i++) {
        int error = serve_one(children, &children->list[i], now_ns);
        if (error < 0)
            result = error;
    }
    return result;
}

/* ---- stop --------------------------------------------------------------------------------- */

static unsigned signal_running(struct children *children, int signal_number)
{
    unsigned running = 0;

    for (unsigned i = 0; i < children->count; i++) {
        struct child *child = &children->list[i];
        int status;
        read_output(child);
        if (child->pid == 0 || reap(child, &status))
            continue;
        running++;
        if (signal_number != 0)
            kill(child->pid, signal_number);
    }
    return running;
}

static void wait_until_stopped(struct children *children, int64_t until_ns)
{
    struct pollfd poll_fd = {.fd = children->epoll_fd, .events = POLLIN};

    while (signal_running(children, 0) > 0 && clock_now_ns() < until_ns)
        poll(&poll_fd, 1, 100);
}

void children_destroy(struct children *children)
{
    if (!children)
        return;
    signal_running(children, SIGTERM);
    wait_until_stopped(children, clock_now_ns() + STOP_PATIENCE_NS);
    for (unsigned i = 0; i < children->count; i++) {
        if (children->list[i].pid != 0)
            log_warning("%s did not stop when told to; killed it", children->list[i].name);
    }
    signal_running(children, SIGKILL);
    wait_until_stopped(children, clock_now_ns() + STOP_PATIENCE_NS);
    for (unsigned i = 0; i < children->count; i++) {
        if (children->list[i].output_fd >= 0)
            close(children->list[i].output_fd);
    }
    close(children->epoll_fd);
    free(children);
}
