/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static tracepoints (USDT, provider "simcast") at each stage of a frame's and a command's way,
 * for bpftrace, perf and SystemTap; docs/perf.md lists them all with their arguments. Arguments
 * are integers or pointers.
 *
 * Thread: any. Cost: one nop, and what the arguments cost to have in registers; nothing in a build
 * without <sys/sdt.h> (package systemtap-sdt-dev).
 */
#ifndef SIMCAST_BASE_PROBE_H
#define SIMCAST_BASE_PROBE_H

/* The analyzer would count the branches inside the macros as those of whoever uses them. */
#if defined(__has_include) && __has_include(<sys/sdt.h>) && !defined(__clang_analyzer__)
#include <sys/sdt.h>
#define PROBE2(name, a, b) DTRACE_PROBE2(simcast, name, a, b)
#define PROBE3(name, a, b, c) DTRACE_PROBE3(simcast, name, a, b, c)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(simcast, name, a, b, c, d)
#define PROBE5(name, a, b, c, d, e) DTRACE_PROBE5(simcast, name, a, b, c, d, e)
#else
#define PROBE2(name, a, b) ((void)(a), (void)(b))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define PROBE4(name, a, b, c, d) ((void)(a), (void)(b), (void)(c), (void)(d))
#define PROBE5(name, a, b, c, d, e) ((void)(a), (void)(b), (void)(c), (void)(d), (void)(e))
#endif

#endif
