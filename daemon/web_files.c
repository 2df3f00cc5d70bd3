/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the table and every file's bytes. */
#include "daemon/web_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dirent.h>

struct web_files {
    struct web_file files[WEB_FILES_MAX];
    size_t count;
};

static const struct {
    const char *ending;
    const char *content_type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/vnd.microsoft.icon"},
    {".wasm", "application/wasm"},
    {".txt", "text/plain; charset=utf-8"},
};

static const char *type_of(const char *name)
{
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(ending, types[i].ending) == 0)
            return types[i].content_type;
    }
    return NULL;
}

static int read_all(int fd, size_t size, void **ret_bytes)
{
    char *bytes = malloc(size + 1);
    size_t used = 0;

    if (!bytes)
        return -ENOMEM;
    while (used < size) {
        ssize_t got = read(fd, bytes + used, size - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            int error = got < 0 ? -errno : -EIO;
            free(bytes);
            return error;
        }
        used += (size_t)got;
    }
    *ret_bytes = bytes;
    return 0;
}

static int load_fd(struct web_files *files, int fd, const char *name)
{
    struct web_file *file = &files->files[files->count];
    struct stat info;
    void *bytes = NULL;

    if (fstat(fd, &info) < 0)
        return -errno;
    if (!S_ISREG(info.st_mode))
        return 0;
    if (info.st_size > WEB_FILE_BYTES_MAX || files->count == WEB_FILES_MAX)
        return -EFBIG;
    int error = read_all(fd, (size_t)info.st_size, &bytes);
    if (error < 0)
        return error;
    file->name = strdup(name);
    file->content_type = type_of(name);
    file->bytes = bytes;
    file->size = (size_t)info.st_size;
    files->count++;
    return file->name ? 0 : -ENOMEM;
}

static int load_entry(struct web_files *files, int dir_fd, const char *name)
{
    if (!type_of(name))
        return 0;
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP ? 0 : -errno;
    int error = load_fd(files, fd, name);
    close(fd);
    return error;
}

int web_files_load(const char *path, struct web_files **ret_files)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int error = 0;

    if (!dir)
        return -errno;
    struct web_files *files = calloc(1, sizeof(*files));
    if (!files)
        error = -ENOMEM;
    while (error == 0 && (entry = readdir(dir)))
        error = load_entry(files, dirfd(dir), entry->d_name);
    closedir(dir);
    if (error < 0) {
        web_files_free(files);
        return error;
    }
    *ret_files = files;
    return 0;
}

void web_files_free(struct web_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->count; i++) {
        free((char *)files->files[i].name);
        free((void *)files->files[i].bytes);
    }
    free(files);
}

const struct web_file *web_files_find(const struct web_files *files, const char *name)
{
    for (size_t i = 0; files && i < files->count; i++) {
        if (strcmp(files->files[i].name, name) == 0)
            return &files->files[i];
    }
    return NULL;
}
