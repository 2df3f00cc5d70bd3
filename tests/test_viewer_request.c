/* SPDX-License-Identifier: Apache-2.0 */
/* proto/viewer_request.h: what viewers may ask for, and what a wrong question is told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "proto/viewer_request.h"

static struct viewer_request request;
static const char *reason;

static int parse_bytes(const char *json, size_t bytes)
{
    memset(&request, 0xaa, sizeof(request));
    reason = NULL;
    return viewer_request_parse(json, bytes, &request, &reason);
}

static int parse(const char *json)
{
    return parse_bytes(json, strlen(json));
}

START_TEST(a_subscription_names_camera_and_rendition)
{
    ck_assert_int_eq(parse("{\"type\":\"subscribe\",\"stream\":\"front\",\"rendition\":\"preview\","
                           "\"metadata\":true,\"paused\":true}"),
                     0);
    ck_assert_int_eq(request.kind, VIEWER_SUBSCRIBE);
    ck_assert_str_eq(request.stream, "front");
    ck_assert_str_eq(request.rendition, "preview");
    ck_assert(request.metadata && request.paused);
}
END_TEST

START_TEST(what_is_left_out_is_the_default)
{
    ck_assert_int_eq(parse("{\"type\":\"subscribe\"}"), 0);
    ck_assert_str_eq(request.stream, "");
    ck_assert_str_eq(request.rendition, "");
    ck_assert(!request.metadata && !request.paused);
    ck_assert_int_eq(parse("{\"type\":\"streams\",\"more\":[]}"), 0);
    ck_assert_int_eq(request.kind, VIEWER_STREAMS);
}
END_TEST

START_TEST(the_others_name_an_id)
{
    ck_assert_int_eq(parse("{\"type\":\"unsubscribe\",\"id\":65535}"), 0);
    ck_assert_int_eq(request.kind, VIEWER_UNSUBSCRIBE);
    ck_assert_uint_eq(request.id, 65535);
    ck_assert_int_eq(parse("{\"type\":\"pause\",\"id\":0,\"paused\":false}"), 0);
    ck_assert_int_eq(request.kind, VIEWER_PAUSE);
    ck_assert(!request.paused);
    ck_assert_int_eq(parse("{\"type\":\"keyframe\",\"id\":7}"), 0);
    ck_assert_int_eq(request.kind, VIEWER_KEYFRAME);
}
END_TEST

static const char *const malformed[] = {
    "{\"type\":\"unsubscribe\"}",
    "{\"type\":\"unsubscribe\",\"id\":-1}",
    "{\"type\":\"unsubscribe\",\"id\":65536}",
    "{\"type\":\"keyframe\",\"id\":\"1\"}",
    "{\"type\":\"keyframe\",\"id\":1.5}",
    "{\"type\":\"pause\",\"id\":1}",
    "{\"type\":\"pause\",\"id\":1,\"paused\":1}",
    "{\"type\":\"subscribe\",\"stream\":null}",
    "{\"type\":\"subscribe\",\"stream\":\"12345678901234567890123456789012\"}",
    "{\"type\":\"subscribe\",\"rendition\":[]}",
    "{\"type\":\"subscribe\",\"metadata\":\"true\"}",
};

START_TEST(what_is_malformed_comes_with_a_reason)
{
    ck_assert_int_eq(parse(malformed[_i]), -EPROTO);
    ck_assert_ptr_nonnull(reason);
    ck_assert_uint_lt(request.kind, VIEWER_REQUEST_COUNT);
    ck_assert_str_eq(request.stream, "");
    ck_assert_uint_eq(request.id, 0);
}
END_TEST

static const char *const others[] = {
    "",
    "[]",
    "{",
    "7",
    "{\"type\":\"auth\",\"token\":\"x\"}",
    "{\"type\":5}",
    "{\"id\":1}",
    "{\"type\":\"streams\",\"type\":\"streams\"}",
    "{\"type\":\"streams\"} x",
};

START_TEST(what_is_none_of_ours_leaves_the_result_alone)
{
    ck_assert_int_eq(parse(others[_i]), -ENOMSG);
    ck_assert_int_eq(request.stream[0], (char)0xaa);
    ck_assert_ptr_null(reason);
}
END_TEST

START_TEST(a_name_holds_no_nul)
{
    const char json[] = "{\"type\":\"subscribe\",\"stream\":\"a\\u0000b\"}";

    ck_assert_int_ne(parse(json), 0);
    ck_assert_int_eq(parse_bytes("{\"type\":\"streams\"\0}", 18), -ENOMSG);
}
END_TEST

START_TEST(each_kind_has_its_name)
{
    ck_assert_str_eq(viewer_request_name(VIEWER_SUBSCRIBE), "subscribe");
    ck_assert_str_eq(viewer_request_name(VIEWER_STREAMS), "streams");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("viewer_request");
    TCase *cases = tcase_create("viewer_request");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, a_subscription_names_camera_and_rendition);
    tcase_add_test(cases, what_is_left_out_is_the_default);
    tcase_add_test(cases, the_others_name_an_id);
    tcase_add_loop_test(cases, what_is_malformed_comes_with_a_reason, 0,
                        sizeof(malformed) / sizeof(malformed[0]));
    tcase_add_loop_test(cases, what_is_none_of_ours_leaves_the_result_alone, 0,
                        sizeof(others) / sizeof(others[0]));
    tcase_add_test(cases, a_name_holds_no_nul);
    tcase_add_test(cases, each_kind_has_its_name);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
