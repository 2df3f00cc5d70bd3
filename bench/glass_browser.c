/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the program bench/node/watch.mjs and the two pipes to it; reads its lines, never waits. */
#include "bench/glass_browser.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/program.h"

#define NODE "node"
#define PATH_BYTES 4096
#define CHROMIUM "/usr/bin/chromium"
#define SCRIPT BENCH_SOURCE_DIR "/node/watch.mjs"
#define PLAYWRIGHT BENCH_SOURCE_DIR "/node/node_modules/playwright-core/package.json"
#define URL_BYTES 64
#define END_MS 5000

const char *glass_browser_missing(void)
{
    char node[PATH_BYTES];

    if (access(CHROMIUM, X_OK) < 0)
        return "Chromium is missing; install the package chromium";
    if (!program_find(NODE, node, sizeof(node)))
        return "node is missing; install the packages nodejs and npm";
    if (access(PLAYWRIGHT, R_OK) < 0)
        return "npm's playwright-core is missing; run: npm ci --prefix bench/node";
    return NULL;
}

int glass_browser_open(struct glass_browser *browser, uint16_t port)
{
    char node[PATH_BYTES];
    char url[URL_BYTES];
    const char *const argv[] = {node, SCRIPT, url, NULL};
    int stay[2];
    int lines[2];

    *browser = (struct glass_browser){.lines = -1, .stay = -1};
    if (pipe2(stay, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(lines, O_CLOEXEC | O_NONBLOCK) < 0) {
        int error = -errno;
        close(stay[0]);
        close(stay[1]);
        return error;
    }
    browser->stay = stay[1];
    browser->lines = lines[0];
    program_find(NODE, node, sizeof(node)); /* without it the program ends at once */
    snprintf(url, sizeof(url), "http://localhost:%u/", (unsigned)port);
    int error = program_start(&browser->program, argv, (struct program_pipes){stay[0], lines[1]});
    close(stay[0]);
    close(lines[1]);
    return error;
}

void glass_browser_close(struct glass_browser *browser)
{
    if (browser->stay >= 0)
        close(browser->stay);
    if (browser->lines >= 0)
        close(browser->lines);
    browser->stay = -1;
    browser->lines = -1;
    peer_join(&browser->program, END_MS);
}

static int take_line(struct glass_browser *browser, struct glass_drawn *ret_drawn)
{
    char *end = memchr(browser->bytes, '\n', browser->filled);
    struct glass_drawn drawn;

    if (!end)
        return browser->filled == sizeof(browser->bytes) ? -EPROTO : -EAGAIN;
    *end = '\0';
    int fields = sscanf(browser->bytes, "%" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
                        &drawn.frame_seq, &drawn.received_ns, &drawn.decoded_ns, &drawn.drawn_ns);
    size_t line_bytes = (size_t)(end + 1 - browser->bytes);
    browser->filled -= line_bytes;
    memmove(browser->bytes, end + 1, browser->filled);
    if (fields != 4)
        return -EPROTO;
    *ret_drawn = drawn;
    return 0;
}

int glass_browser_next(struct glass_browser *browser, struct glass_drawn *ret_drawn)
{
    int error = take_line(browser, ret_drawn);

    if (error != -EAGAIN)
        return error;
    ssize_t count = read(browser->lines, browser->bytes + browser->filled,
                         sizeof(browser->bytes) - browser->filled);
    if (count == 0)
        return -EPIPE;
    if (count < 0)
        return -errno;
    browser->filled += (size_t)count;
    return take_line(browser, ret_drawn);
}
