/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/http.h and web_files.h: what a path answers, and whose pages may connect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <jansson.h>

#include "daemon/http.h"
#include "support.h"

static struct counters counters;
static struct http_health health;
static struct http_response response;
static char buffer[HTTP_BODY_BYTES];

static void set_up(void)
{
    counters = (struct counters){0};
    health = (struct http_health){
        .counters = &counters,
        .last_frame_age_ms = -1,
        .source = "ring",
        .source_reason = "",
        .bus_connected = true,
        .gate_mode = "HOLD",
        .gate_reason = "starting",
    };
}

static json_t *get_json(const char *path)
{
    http_get(&(struct http_request){.path = path, .query = ""}, &health, NULL, buffer, &response);
    json_t *root = json_loadb(response.body, response.body_bytes, 0, NULL);
    ck_assert_ptr_nonnull(root);
    return root;
}

START_TEST(health_is_json_with_null_before_the_first_frame)
{
    json_t *root = get_json("/health");

    ck_assert_uint_eq(response.status, 200);
    ck_assert_str_eq(json_string_value(json_object_get(root, "status")), "ok");
    ck_assert(json_is_null(json_object_get(root, "last_frame_age_ms")));
    ck_assert_int_eq(json_integer_value(json_object_get(root, "avg_frame_size_bytes")), 0);
    json_decref(root);
}
END_TEST

START_TEST(health_fits_its_buffer_at_the_largest_numbers)
{
    uint64_t *values = (uint64_t *)&counters;

    for (size_t i = 0; i < sizeof(counters) / sizeof(values[0]); i++)
        values[i] = INT64_MAX; /* the largest that JSON readers agree on */
    counters.frames_broadcast = 1;
    health.last_frame_age_ms = INT64_MAX;
    health.uptime_s = INT64_MAX;
    health.shm_seq = INT64_MAX;
    health.clients = UINT32_MAX;
    json_decref(get_json("/health"));
}
END_TEST

START_TEST(health_averages_the_frame_size)
{
    counters.frames_broadcast = 4;
    counters.frame_bytes = 4002;
    json_t *root = get_json("/health");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "avg_frame_size_bytes")), 1000);
    json_decref(root);
}
END_TEST

START_TEST(readiness_names_each_reason)
{
    json_t *root = get_json("/readyz");

    ck_assert_uint_eq(response.status, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "reasons")), 0);
    json_decref(root);
    health.bus_connected = false;
    health.source = "none";
    health.source_reason = "no \"producer\"\n at C:\\x";
    root = get_json("/readyz");
    ck_assert_uint_eq(response.status, 503);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "reasons")), 2);
    json_decref(root);
    health.bus_connected = true;
    root = get_json("/readyz");
    ck_assert_uint_eq(response.status, 503);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "reasons")), 1);
    json_decref(root);
}
END_TEST

START_TEST(paths_without_a_file_are_not_found)
{
    static const char *const paths[] = {"/x", "//", "", "/index.html", "/health/", "/Health"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        http_get(&(struct http_request){.path = paths[i], .query = ""}, &health, NULL, buffer,
                 &response);
        ck_assert_uint_eq(response.status, 404);
    }
    http_get(&(struct http_request){.path = HTTP_WS_PATH, .query = ""}, &health, NULL, buffer,
             &response);
    ck_assert_uint_eq(response.status, 426);
}
END_TEST

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(only_regular_files_of_known_types_are_served)
{
    char dir[SUPPORT_PATH_BYTES];
    char path[512];
    struct web_files *files;

    support_dir_make(dir);
    write_file(dir, "index.html", "<p>");
    write_file(dir, "empty.js", "");
    write_file(dir, "key.pem", "no");
    write_file(dir, "noending", "no");
    snprintf(path, sizeof(path), "%s/link.js", dir);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    ck_assert_int_eq(web_files_load(dir, &files), 0);

    http_get(&(struct http_request){.path = "/", .query = ""}, &health, files, buffer, &response);
    ck_assert_uint_eq(response.status, 200);
    ck_assert_str_eq(response.content_type, "text/html; charset=utf-8");
    ck_assert_uint_eq(response.body_bytes, 3);
    http_get(&(struct http_request){.path = "/empty.js", .query = ""}, &health, files, buffer,
             &response);
    ck_assert_uint_eq(response.status, 200);
    ck_assert_uint_eq(response.body_bytes, 0);
    static const char *const hidden[] = {"key.pem", "noending", "link.js", "..", "."};
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        ck_assert_ptr_null(web_files_find(files, hidden[i]));
    web_files_free(files);
    static const char *const names[] = {"index.html", "empty.js", "key.pem", "noending", "link.js"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error)
{
    struct web_files *files = NULL;

    ck_assert_int_lt(web_files_load("/nonexistent", &files), 0);
    ck_assert_ptr_null(files);
    ck_assert_ptr_null(web_files_find(NULL, "index.html"));
    web_files_free(NULL);
}
END_TEST

static const struct {
    const char *origin, *host, *allowed;
    bool may;
} origins[] = {
    {"", "h:1", "", true},
    {"http://h:1", "h:1", "", true},
    {"https://H:1", "h:1", "", true},
    {"http://h", "h:1", "", false},
    {"http://h:1.evil", "h:1", "", false},
    {"http://evil/h:1", "h:1", "", false},
    {"h:1", "h:1", "", false},
    {"null", "h:1", "", false},
    {"http://", "", "", false},
    {"https://a.example", "h:1", "https://a.example", true},
    {"https://b.example:8", "h:1", "https://a.example,  https://b.example:8", true},
    {"https://a.exampl", "h:1", "https://a.example", false},
    {"https://a.example", "h:1", "https://a.exampl", false},
    {"http://a.example", "h:1", ",,", false},
};

START_TEST(an_origin_must_be_our_own_or_listed)
{
    ck_assert_msg(http_origin_allowed(origins[_i].origin, origins[_i].host, origins[_i].allowed) ==
                      origins[_i].may,
                  "origin '%s' host '%s' list '%s'", origins[_i].origin, origins[_i].host,
                  origins[_i].allowed);
}
END_TEST

static const struct {
    const char *host, *allowed;
    bool loopback, may;
} hosts[] = {
    {"", "", true, true},
    {"localhost:8080", "", true, true},
    {"127.0.0.1", "", true, true},
    {"[::1]:8080", "", true, true},
    {"a.example", "", true, false},
    {"a.example:8080", "a.example", true, true},
    {"A.example", "b.example, a.example", true, true},
    {"a.example.evil", "a.example", true, false},
    {"127.0.0.1.evil", "", true, false},
    {"a.example", "*", true, true},
    {"a.example", "", false, true},
    {"a.example", "b.example", false, false},
    {"192.0.2.1:1", "b.example", false, true},
    {":80", "", true, false},
    {"[", "", true, false},
};

START_TEST(a_host_must_be_a_number_or_a_name_of_ours)
{
    ck_assert_msg(http_host_allowed(hosts[_i].host, hosts[_i].allowed, hosts[_i].loopback) ==
                      hosts[_i].may,
                  "host '%s' list '%s'", hosts[_i].host, hosts[_i].allowed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("http");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, health_is_json_with_null_before_the_first_frame);
    tcase_add_test(tcase, health_fits_its_buffer_at_the_largest_numbers);
    tcase_add_test(tcase, health_averages_the_frame_size);
    tcase_add_test(tcase, readiness_names_each_reason);
    tcase_add_test(tcase, paths_without_a_file_are_not_found);
    tcase_add_test(tcase, only_regular_files_of_known_types_are_served);
    tcase_add_test(tcase, a_directory_that_is_not_there_is_an_error);
    tcase_add_loop_test(tcase, an_origin_must_be_our_own_or_listed, 0,
                        (int)(sizeof(origins) / sizeof(origins[0])));
    tcase_add_loop_test(tcase, a_host_must_be_a_number_or_a_name_of_ours, 0,
                        (int)(sizeof(hosts) / sizeof(hosts[0])));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
