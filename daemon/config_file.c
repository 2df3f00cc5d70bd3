/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Home of libcyaml. Its schema is built from the caller's table: every value is read as text, so
 * that a file, a variable and a flag go through the same checks and give the same messages.
 *
 * Owns the loaded document until config_file_read returns. Fails with the first fault that
 * libcyaml logs, which names line and column.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cyaml/cyaml.h>

#include "daemon/config.h"

#define FIELDS_MAX 96
#define TEXT_BYTES_MAX 4096

struct layout {
    cyaml_schema_field_t fields[FIELDS_MAX]; /* lists of fields, each ends with a NULL key */
    size_t field_count;
    cyaml_schema_value_t root;
};

struct fault {
    char text[512];
    size_t used;
};

/* libcyaml explains a failure in several lines, the innermost first; two say enough. */
static void keep_fault(cyaml_log_t level, void *data, const char *format, va_list args)
{
    struct fault *fault = data;
    char line[256];

    if (level < CYAML_LOG_ERROR)
        return;
    vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\n")] = '\0';
    const char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    if (strstr(text, "Backtrace"))
        return;
    int used = snprintf(fault->text + fault->used, sizeof(fault->text) - fault->used, "%s%s",
                        fault->used > 0 ? ", " : "", text + strspn(text, " "));
    if (used > 0 && fault->used + (size_t)used < sizeof(fault->text))
        fault->used += (size_t)used;
}

static cyaml_schema_value_t text_schema(void)
{
    return (cyaml_schema_value_t){
        .type = CYAML_STRING,
        .flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL,
        .data_size = sizeof(char),
        .string = {.min = 0, .max = TEXT_BYTES_MAX},
    };
}

static cyaml_schema_value_t mapping_schema(const cyaml_schema_field_t *fields, size_t count)
{
    return (cyaml_schema_value_t){
        .type = CYAML_MAPPING,
        .flags = CYAML_FLAG_POINTER_NULL | CYAML_FLAG_OPTIONAL,
        .data_size = (uint32_t)(count * sizeof(char *)),
        .mapping.fields = fields,
    };
}

/* Appends the fields of one section and their end; the keys of a section stand together. */
static const cyaml_schema_field_t *add_section(struct layout *layout,
                                               const struct config_file_key *keys, size_t count)
{
    const cyaml_schema_field_t *first = layout->fields + layout->field_count;

    for (size_t i = 0; i < count; i++) {
        layout->fields[layout->field_count++] = (cyaml_schema_field_t){
            .key = keys[i].name,
            .data_offset = (uint32_t)(i * sizeof(char *)),
            .value = text_schema(),
        };
    }
    layout->field_count++; /* its NULL key ends the list */
    return first;
}

static bool in_section(const struct config_file_key *key)
{
    return key->section[0] != '\0';
}

/* How many keys from `at` on share one field of the top level: a whole section, or one key. */
static size_t stretch(const struct config_file_schema *schema, size_t at)
{
    const struct config_file_key *keys = schema->keys + at;
    size_t length = 1;

    while (in_section(keys) && at + length < schema->key_count &&
           strcmp(keys[length].section, keys[0].section) == 0)
        length++;
    return length;
}

/*
 * The document is an array with a place for each key of the table: a text, or, at the place of a
 * section's first key, a pointer to the array of the section's texts (so `section:` alone is
 * fine).
 */
static int build_layout(const struct config_file_schema *schema, struct layout *layout)
{
    const struct config_file_key *keys = schema->keys;
    cyaml_schema_field_t top[FIELDS_MAX];
    size_t top_count = 0;

    if (2 * schema->key_count + 2 > FIELDS_MAX)
        return -E2BIG;
    for (size_t at = 0, length = 1; at < schema->key_count; at += length) {
        cyaml_schema_field_t field = {
            .key = keys[at].name,
            .data_offset = (uint32_t)(at * sizeof(char *)),
            .value = text_schema(),
        };
        length = stretch(schema, at);
        if (in_section(&keys[at])) {
            field.key = keys[at].section;
            field.value = mapping_schema(add_section(layout, keys + at, length), length);
        }
        top[top_count++] = field;
    }
    cyaml_schema_field_t *fields = layout->fields + layout->field_count;
    memcpy(fields, top, top_count * sizeof(top[0]));
    layout->root = mapping_schema(fields, schema->key_count);
    return 0;
}

/* Tells `set` each text of the document. */
static int set_all(void **document, const struct config_file_schema *schema)
{
    for (size_t at = 0, length = 1; at < schema->key_count; at += length) {
        char **texts = in_section(&schema->keys[at]) ? document[at] : (char **)&document[at];
        length = stretch(schema, at);
        for (size_t i = 0; texts && i < length; i++) {
            int error = texts[i] ? schema->set(schema->data, at + i, texts[i]) : 0;
            if (error < 0)
                return error;
        }
    }
    return 0;
}

int config_file_read(const char *path, const struct config_file_schema *schema, char *ret_error)
{
    struct layout layout = {0};
    struct fault fault = {0};
    const cyaml_config_t cyaml = {
        .log_fn = keep_fault,
        .log_ctx = &fault,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    void **document = NULL;
    int error = build_layout(schema, &layout);

    if (error == 0 && access(path, R_OK) < 0)
        error = -errno;
    if (error < 0) {
        snprintf(ret_error, CONFIG_ERROR_BYTES, "%.400s: %s", path, strerror(-error));
        return error;
    }
    cyaml_err_t fail =
        cyaml_load_file(path, &cyaml, &layout.root, (cyaml_data_t **)&document, NULL);
    if (fail != CYAML_OK) {
        snprintf(ret_error, CONFIG_ERROR_BYTES, "%.400s: %s", path,
                 fault.used > 0 ? fault.text : cyaml_strerror(fail));
        return -EINVAL;
    }
    if (document)
        error = set_all(document, schema);
    cyaml_free(&cyaml, &layout.root, document, 0);
    return error;
}
