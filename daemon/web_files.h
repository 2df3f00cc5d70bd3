/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The viewer's files, read once at start. A request finds a file by its exact name in this table
 * or not at all, so no path can leave the directory, and the loop never waits for a disk.
 *
 * Thread: loading before the loop runs; afterwards read-only.
 */
#ifndef SIMCAST_DAEMON_WEB_FILES_H
#define SIMCAST_DAEMON_WEB_FILES_H

#include <stddef.h>
#include <stdint.h>

#define WEB_FILES_MAX 256u
#define WEB_FILE_BYTES_MAX INT64_C(4194304)

struct web_files;

struct web_file {
    const char *name; /* without a slash */
    const char *content_type;
    const void *bytes;
    size_t size;
};

/*
 * Reads the regular files of the directory (no sub-directories, no links) whose ending is known:
 * html, js, css, json, svg, png, ico, wasm, txt. Errors: -ENOENT and others from the system; -EFBIG
 * a file or their number over the limits.
 */
int web_files_load(const char *path, struct web_files **ret_files);

/* Takes NULL. */
void web_files_free(struct web_files *files);

/* NULL when there is none, or `files` is NULL. */
const struct web_file *web_files_find(const struct web_files *files, const char *name);

#endif
