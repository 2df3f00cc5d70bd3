/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the signal descriptor and the signal mask of before. Without systemd nobody hears us. */
#include "daemon/service.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "base/clock.h"

int service_open(struct service *service)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    *service = (struct service){0};
    sigprocmask(SIG_BLOCK, &signals, &service->old_signals);
    signal(SIGPIPE, SIG_IGN);
    service->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return service->signal_fd < 0 ? -errno : 0;
}

void service_close(struct service *service)
{
    if (service->signal_fd >= 0)
        close(service->signal_fd);
    sigprocmask(SIG_SETMASK, &service->old_signals, NULL);
}

int service_fd(const struct service *service)
{
    return service->signal_fd;
}

int service_signal(struct service *service)
{
    struct signalfd_siginfo info;

    if (read(service->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return 0;
    return (int)info.ssi_signo;
}

void service_ready(struct service *service)
{
    uint64_t watchdog_us = 0;

    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        service->watchdog_ns = (int64_t)watchdog_us * NS_PER_US / 3;
    sd_notify(0, "READY=1");
}

void service_reloading(int64_t now_ns)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, now_ns / NS_PER_US);
}

void service_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void service_tick(struct service *service, int64_t now_ns)
{
    if (service->watchdog_ns == 0 || now_ns - service->pinged_ns < service->watchdog_ns)
        return;
    service->pinged_ns = now_ns;
    sd_notify(0, "WATCHDOG=1");
}

void service_status(const char *status)
{
    sd_notifyf(0, "STATUS=%s", status);
}
