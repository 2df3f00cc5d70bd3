/* SPDX-License-Identifier: Apache-2.0 */
/* What a bus URL is, and how to show one: pure functions on text. */
#include <string.h>

#include "bus/access.h"
#include "bus/core.h"

/* Of each comma-separated part, leaves out what stands between "//", if any, and the last "@". */
void bus_url_show(const char *url, char *ret_text, size_t text_bytes)
{
    size_t used = 0;

    while (*url) {
        size_t part = strcspn(url, ",");
        const char *at = memrchr(url, '@', part);
        const char *slashes = memmem(url, part, "//", 2);
        const char *secret = slashes ? slashes + 2 : url;
        const char *end = url + part + (url[part] == ',');

        for (; url < end; url++) {
            if (at && url >= secret && url <= at)
                continue;
            if (used + 1 < text_bytes)
                ret_text[used++] = *url;
        }
    }
    ret_text[used] = '\0';
}

/* A directory of the local bus may well hold an "@". */
bool bus_url_has_secret(const char *url)
{
    return strncmp(url, "ipc://", 6) != 0 && strchr(url, '@');
}

/* "[scheme://][user[:password]@]host[:port][/]". The library would find out only in connecting. */
static bool server_is_valid(const char *text, size_t bytes)
{
    const char *end = text + bytes - (bytes > 0 && text[bytes - 1] == '/');
    const char *slashes = memmem(text, bytes, "//", 2);
    const char *host = slashes && slashes + 2 <= end ? slashes + 2 : text;
    const char *at = memrchr(host, '@', (size_t)(end - host));
    unsigned port = 0;

    if (at)
        host = at + 1;
    const char *colon = memrchr(host, ':', (size_t)(end - host));
    const char *bracket = memrchr(host, ']', (size_t)(end - host));
    if (!colon || colon < bracket)
        return host < end && *host != '/';
    for (const char *digit = colon + 1; digit < end; digit++) {
        if (*digit < '0' || *digit > '9' || port > UINT16_MAX)
            return false;
        port = 10 * port + (unsigned)(*digit - '0');
    }
    return host < colon && port > 0 && port <= UINT16_MAX;
}

bool bus_url_is_valid(const char *url)
{
    while (true) {
        size_t bytes = strcspn(url, ",");
        if (!server_is_valid(url, bytes))
            return false;
        url += bytes;
        if (*url == '\0')
            return true;
        url++;
    }
}
