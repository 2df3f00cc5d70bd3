/* SPDX-License-Identifier: Apache-2.0 */
/* Owns nothing. A buffer that is full ends the message, never the line's own frame. */
#include "base/log_line.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define WARNING_PRIORITY 4
#define REPLACEMENT "\\ufffd" /* for bytes that are no UTF-8 */

/* A buffer that keeps `reserve` bytes free for what has to come at the end. */
struct sink {
    char *text;
    size_t bytes;
    size_t used;
};

static void put(struct sink *sink, const char *bytes, size_t count)
{
    if (count > sink->bytes - sink->used)
        return;
    memcpy(sink->text + sink->used, bytes, count);
    sink->used += count;
}

static void __attribute__((format(printf, 2, 3)))
put_format(struct sink *sink, const char *format, ...)
{
    va_list args;
    size_t left = sink->bytes - sink->used;

    va_start(args, format);
    int count = vsnprintf(sink->text + sink->used, left, format, args);
    va_end(args);
    if (count > 0 && left > 0)
        sink->used += (size_t)count < left ? (size_t)count : left - 1;
}

/* The message as one line; what is no printable text becomes a '?'. */
static void put_plain(struct sink *sink, const char *message)
{
    for (; *message; message++) {
        bool odd = (unsigned char)*message < ' ' || *message == 0x7f;
        put(sink, odd ? "?" : message, 1);
    }
}

static struct sink open_sink(char *text, size_t text_bytes, size_t reserve)
{
    return (struct sink){.text = text, .bytes = text_bytes - reserve};
}

static size_t close_sink(struct sink *sink, const char *end)
{
    sink->bytes += strlen(end);
    put(sink, end, strlen(end));
    return sink->used;
}

size_t log_line_text(const struct log_line *line, char *text, size_t text_bytes)
{
    struct sink sink = open_sink(text, text_bytes, 1);

    put_format(&sink, "%s: ", line->program);
    if (line->priority <= WARNING_PRIORITY)
        put_format(&sink, "%s: ", line->level);
    put_plain(&sink, line->message);
    return close_sink(&sink, "\n");
}

size_t log_line_prefixed(const struct log_line *line, char *text, size_t text_bytes)
{
    struct sink sink = open_sink(text, text_bytes, 1);

    put_format(&sink, "<%d>", line->priority);
    put_plain(&sink, line->message);
    return close_sink(&sink, "\n");
}

/* How many bytes the UTF-8 character at `text` has; 0: it is none. */
static size_t character_bytes(const unsigned char *text)
{
    static const struct {
        unsigned char mask, lead;
        unsigned low; /* the least that needs so many bytes */
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
        if ((text[0] & forms[form].mask) != forms[form].lead)
            continue;
        unsigned code = text[0] & (unsigned char)~forms[form].mask;
        for (size_t i = 1; i <= form; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (text[i] & 0x3f);
        }
        return code < forms[form].low || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)
                   ? 0
                   : form + 1;
    }
    return 0;
}

static void put_json(struct sink *sink, const char *message)
{
    const unsigned char *at = (const unsigned char *)message;

    while (*at) {
        size_t count = character_bytes(at);
        char escape[8];
        if (count == 0) {
            put(sink, REPLACEMENT, strlen(REPLACEMENT));
            count = 1;
        } else if (*at == '"' || *at == '\\') {
            put(sink, (char[]){'\\', (char)*at}, 2);
        } else if (*at < ' ') {
            put(sink, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", *at));
        } else {
            put(sink, (const char *)at, count);
        }
        at += count;
    }
}

size_t log_line_json(const struct log_line *line, char *text, size_t text_bytes)
{
    struct sink sink = open_sink(text, text_bytes, strlen("\"}\n"));
    time_t seconds = line->wall_ns / NS_PER_S;
    struct tm broken;
    char date[32];

    gmtime_r(&seconds, &broken);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &broken);
    put_format(&sink, "{\"time\":\"%s.%06dZ\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,",
               date, (int)(line->wall_ns % NS_PER_S / NS_PER_US), line->level, line->program,
               line->pid);
    put_format(&sink, "\"thread\":\"");
    put_json(&sink, line->thread);
    put_format(&sink, "\",\"message\":\"");
    put_json(&sink, line->message);
    return close_sink(&sink, "\"}\n");
}

size_t log_line_journal(const struct log_line *line, char *text, size_t text_bytes)
{
    struct sink sink = open_sink(text, text_bytes, 1);

    put_format(&sink, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nSIMCAST_THREAD=", line->priority,
               line->program);
    put_plain(&sink, line->thread);
    put_format(&sink, "\nMESSAGE=");
    put_plain(&sink, line->message);
    return close_sink(&sink, "\n");
}
