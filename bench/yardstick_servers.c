/* SPDX-License-Identifier: Apache-2.0 */
/* Starts programs; owns nothing. */
#include "bench/yardstick_servers.h"

#include <stdio.h>
#include <unistd.h>

#include "bench/program.h"

#define ENV "/usr/bin/env"
#define NODE "node"
#define USTREAMER "/usr/bin/ustreamer"
#define WS BENCH_SOURCE_DIR "/node/node_modules/ws/package.json"
#define DEVICE "bench/libsimcast-bench-camera.so" /* mjpeg_device.c */
#define PATH_BYTES 4096

const char *yardstick_node_missing(void)
{
    char node[PATH_BYTES];

    if (!program_find(NODE, node, sizeof(node)))
        return "node is missing; install the packages nodejs and npm";
    if (access(WS, R_OK) < 0)
        return "npm's ws is missing; run: npm ci --prefix bench/node";
    return NULL;
}

const char *yardstick_ustreamer_missing(void)
{
    return access(USTREAMER, X_OK) < 0 ? "ustreamer is missing; install the package ustreamer"
                                       : NULL;
}

int yardstick_node_start(struct peer *peer, int input, uint16_t port)
{
    char node[PATH_BYTES];
    char port_text[16];
    const char *const argv[] = {node, BENCH_SOURCE_DIR "/node/relay.mjs", port_text, NULL};

    program_find(NODE, node, sizeof(node)); /* without it the program ends at once */
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    return program_start(peer, argv, (struct program_pipes){input, -1});
}

/* `persistent`: a camera that is silent for a second is not unplugged. */
int yardstick_ustreamer_start(struct peer *peer, int input, uint16_t port, bool numbered)
{
    char path[PATH_BYTES];
    char preload[PATH_BYTES + 16];
    char port_text[16];
    const char *const argv[] = {
        ENV,
        preload,
        numbered ? "CAMERA_NUMBERS=yes" : "CAMERA_NUMBERS=",
        USTREAMER,
        "--device",
        "/dev/stdin",
        "--format",
        "MJPEG",
        "--encoder",
        "HW",
        "--workers",
        "1",
        "--resolution",
        "1280x720",
        "--host",
        "127.0.0.1",
        "--port",
        port_text,
        "--tcp-nodelay",
        "--persistent",
        NULL,
    };

    program_path(DEVICE, path, sizeof(path));
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", path);
    snprintf(port_text, sizeof(port_text), "%u", (unsigned)port);
    return program_start(peer, argv, (struct program_pipes){input, -1});
}
