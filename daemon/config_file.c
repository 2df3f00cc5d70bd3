/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Home of libyaml. Every value is handed on as text with its line, so that a file, a variable and a
 * flag go through the same checks and give the same messages.
 *
 * Owns the loaded document until config_file_read returns. Stops at the first fault.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "daemon/config.h"

#define KEYS_MAX 96

struct reading {
    const char *path;
    const struct config_file_schema *schema;
    yaml_document_t document;
    bool seen[KEYS_MAX];
    char *error;
};

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static const char *text_of(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* `key:` with nothing behind it. */
static bool is_empty(const yaml_node_t *node)
{
    const char *text = text_of(node);

    return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int fault(const struct reading *reading, const yaml_node_t *node, const char *expected)
{
    const char *text = text_of(node);

    snprintf(reading->error, CONFIG_ERROR_BYTES, "%.400s:%zu: %s%.80s%sexpected %s", reading->path,
             line_of(node), text ? "'" : "", text ? text : "", text ? "': " : "", expected);
    return -EINVAL;
}

static bool is_section(const struct config_file_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->key_count; i++) {
        if (schema->keys[i].section[0] != '\0' && strcmp(schema->keys[i].section, name) == 0)
            return true;
    }
    return false;
}

static int set_value(struct reading *reading, const char *section, yaml_node_t *key,
                     yaml_node_t *value)
{
    const struct config_file_schema *schema = reading->schema;
    const char *name = text_of(key);
    size_t at = 0;

    while (name && at < schema->key_count &&
           (strcmp(schema->keys[at].section, section) != 0 ||
            strcmp(schema->keys[at].name, name) != 0))
        at++;
    if (!name || at == schema->key_count)
        return fault(reading, key,
                     section[0] == '\0' ? "a key of simcastd.yaml; see simcastd --help"
                                        : "a key of this section; see simcastd --help");
    if (reading->seen[at])
        return fault(reading, key, "each key once; it stands further up, too");
    reading->seen[at] = true;
    if (is_empty(value))
        return 0;
    if (!text_of(value))
        return fault(reading, key, "one value, not a list or a section");
    return schema->set(schema->data, at, text_of(value), line_of(value));
}

static yaml_node_t *node_at(struct reading *reading, int index)
{
    return yaml_document_get_node(&reading->document, index);
}

static int read_section(struct reading *reading, yaml_node_t *name, yaml_node_t *node)
{
    if (is_empty(node))
        return 0;
    if (node->type != YAML_MAPPING_NODE)
        return fault(reading, name, "its keys indented below it");
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        int error = set_value(reading, text_of(name), node_at(reading, pair->key),
                              node_at(reading, pair->value));
        if (error < 0)
            return error;
    }
    return 0;
}

static int read_root(struct reading *reading)
{
    yaml_node_t *root = yaml_document_get_root_node(&reading->document);

    if (!root || is_empty(root))
        return 0;
    if (root->type != YAML_MAPPING_NODE)
        return fault(reading, root, "lines of KEY: VALUE");
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = node_at(reading, pair->key);
        yaml_node_t *value = node_at(reading, pair->value);
        const char *name = text_of(key);
        int error = name && is_section(reading->schema, name) ? read_section(reading, key, value)
                                                              : set_value(reading, "", key, value);
        if (error < 0)
            return error;
    }
    return 0;
}

static int parse(struct reading *reading, FILE *file)
{
    yaml_parser_t parser;

    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_input_file(&parser, file);
    int error = 0;
    if (yaml_parser_load(&parser, &reading->document)) {
        error = read_root(reading);
        yaml_document_delete(&reading->document);
    } else {
        snprintf(reading->error, CONFIG_ERROR_BYTES, "%.400s:%zu: expected YAML: %s", reading->path,
                 parser.problem_mark.line + 1, parser.problem ? parser.problem : "no memory");
        error = -EINVAL;
    }
    yaml_parser_delete(&parser);
    return error;
}

int config_file_read(const char *path, const struct config_file_schema *schema, char *ret_error)
{
    struct reading reading = {.path = path, .schema = schema, .error = ret_error};
    FILE *file = schema->key_count <= KEYS_MAX ? fopen(path, "re") : NULL;

    if (!file) {
        int error = schema->key_count <= KEYS_MAX ? -errno : -E2BIG;
        snprintf(ret_error, CONFIG_ERROR_BYTES, "%.400s: %s", path, strerror(-error));
        return error;
    }
    int error = parse(&reading, file);
    fclose(file);
    return error;
}
