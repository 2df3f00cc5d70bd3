/* SPDX-License-Identifier: Apache-2.0 */
/* `simcast top` in words: pages that are asked, numbers as people read them, lines that fit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "cli/top_metrics.h"
#include "cli/top_screen.h"

static struct top_metrics metrics;
static struct top_view view;
static struct top_screen screen;

static const char page[] = "# HELP simcast_gate What it is.\n"
                           "# TYPE simcast_gate gauge\n"
                           "simcast_gate{state=\"ARMED\"} 0\n"
                           "simcast_gate{state=\"HOLD\"} 1\n"
                           "simcast_clients 3\n"
                           "simcast_odd\n"
                           "simcast_odder{a=\"b\n"
                           "simcast_oddest{a=\"b\"} none\n"
                           "simcast_t_seconds_bucket{stage=\"a\",le=\"0.001\"} 10\n"
                           "simcast_t_seconds_bucket{stage=\"a\",le=\"0.002\"} 20\n"
                           "simcast_t_seconds_bucket{stage=\"a\",le=\"+Inf\"} 21\n"
                           "simcast_t_seconds_bucket{stage=\"b\",le=\"+Inf\"} 7\n"
                           "simcast_hal_periods_total{stream=\"front\"} 5\n"
                           "simcast_hal_periods_total{stream=\"rear\"} 6";

/* ---- pages ------------------------------------------------------------------------------------
 */

static void parse_page(void)
{
    ck_assert_int_eq(top_metrics_parse(page, &metrics), 0);
}

static void drop_page(void)
{
    top_metrics_fini(&metrics);
}

START_TEST(values_are_found_by_name_and_label)
{
    double value = 0;
    char text[TOP_LABEL_BYTES];

    ck_assert(top_metrics_value(&metrics, "simcast_clients", NULL, &value) && value == 3);
    ck_assert(top_metrics_value(&metrics, "simcast_gate", "state=\"HOLD\"", &value) && value == 1);
    ck_assert(!top_metrics_value(&metrics, "simcast_gate", "state=\"ESTOP\"", &value));
    ck_assert(!top_metrics_value(&metrics, "simcast_odd", NULL, &value));
    ck_assert(!top_metrics_value(&metrics, "simcast_oddest", NULL, &value));
    ck_assert(top_metrics_label(&metrics, "simcast_hal_periods_total", 1, "stream", text));
    ck_assert_str_eq(text, "rear");
    ck_assert(!top_metrics_label(&metrics, "simcast_hal_periods_total", 2, "stream", text));
}
END_TEST

START_TEST(any_part_of_a_page_is_parsed)
{
    char part[sizeof(page)];
    double value;

    for (size_t cut = 0; cut < sizeof(page); cut++) {
        struct top_metrics some;
        memcpy(part, page, cut);
        part[cut] = '\0';
        ck_assert_int_eq(top_metrics_parse(part, &some), 0);
        (void)top_metrics_value(&some, "simcast_gate", "x", &value);
        top_metrics_fini(&some);
    }
}
END_TEST

START_TEST(percentiles_are_of_what_came_between)
{
    struct top_buckets before = {
        .count = 2, .bound = {0.001, 0.002}, .upto = {10, 20}, .total = 20};
    struct top_buckets now = before;
    struct top_buckets from_page;

    ck_assert(isnan(top_buckets_percentile(&before, &now, 50)));
    now.upto[1] += 10; /* ten more, all in the second bucket */
    now.total += 10;
    ck_assert_double_eq_tol(top_buckets_percentile(&before, &now, 50), 0.0015, 1e-9);
    ck_assert_double_eq_tol(top_buckets_percentile(&before, &now, 100), 0.002, 1e-9);
    now.total += 1000; /* beyond the last bound: that bound */
    ck_assert_double_eq_tol(top_buckets_percentile(&before, &now, 99), 0.002, 1e-9);
    /* It began anew: all of it is new. */
    struct top_buckets anew = {.count = 2, .bound = {0.001, 0.002}, .upto = {4, 4}, .total = 4};
    ck_assert_double_eq_tol(top_buckets_percentile(&before, &anew, 50), 0.0005, 1e-9);
    /* Of two histograms: 10 came to the one, 4 to the other that began anew. */
    struct top_buckets sum = {0};
    now.total -= 1000;
    top_buckets_gain(&before, &now, &sum);
    top_buckets_gain(&before, &anew, &sum);
    ck_assert_double_eq(sum.upto[0], 4);
    ck_assert_double_eq(sum.upto[1], 14);
    ck_assert_double_eq(sum.total, 14);
    top_buckets_gain(&before, &(struct top_buckets){.count = 1, .upto = {9}, .total = 9}, &sum);
    ck_assert_double_eq(sum.total, 14); /* other bounds */
    ck_assert(top_metrics_buckets(&metrics, "simcast_t_seconds", "stage=\"a\"", &from_page));
    ck_assert_uint_eq(from_page.count, 2);
    ck_assert_double_eq(from_page.total, 21);
    ck_assert(!top_metrics_buckets(&metrics, "simcast_t_seconds", "stage=\"b\"", &from_page));
    ck_assert(!top_metrics_buckets(&metrics, "simcast_u_seconds", NULL, &from_page));
}
END_TEST

/* ---- screens ----------------------------------------------------------------------------------
 */

START_TEST(times_are_short_at_any_size)
{
    static const struct {
        double seconds;
        const char *text;
    } times[] = {{NAN, "-"},        {0, "0 us"},        {42e-6, "42 us"},     {1.23e-3, "1.2 ms"},
                 {0.0121, "12 ms"}, {0.9996, "1.0 s"},  {59.9, "59.9 s"},     {120, "2 min"},
                 {7200, "2 h"},     {999e-6, "999 us"}, {999.9e-6, "1.0 ms"}, {1e12, ">999 h"}};
    char text[16];

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        ck_assert_str_eq(top_time(times[i].seconds, text), times[i].text);
        ck_assert_uint_le(strlen(text), 7);
    }
}
END_TEST

static void fill_view(unsigned streams, unsigned clients, unsigned robots)
{
    view = (struct top_view){.gate = "ARMED",
                             .bus_connected = true,
                             .uptime_s = 3725,
                             .clients = clients,
                             .commands_per_s = NAN,
                             .refused_per_s = NAN,
                             .ack = {"ack", NAN, NAN},
                             .stream_count = streams,
                             .stage_count = 7,
                             .client_count = clients,
                             .robot_count = robots};
    for (unsigned i = 0; i < streams; i++) {
        struct top_stream *stream = &view.streams[i];
        snprintf(stream->name, sizeof(stream->name), "camera%u.packets", i);
        memset(stream->picture, 'p', sizeof(stream->picture) - 1);
        memset(stream->producer, 'q', sizeof(stream->producer) - 1);
        stream->fps = 123456;
        stream->mbit_per_s = 99999;
        stream->lost = 12345;
        stream->age_s = NAN;
        stream->wanting = 16;
    }
    for (unsigned i = 0; i < 7; i++)
        view.stages[i] = (struct top_times){"longest stage", 12.3, NAN};
    for (unsigned i = 0; i < clients; i++) {
        snprintf(view.list[i].who, sizeof(view.list[i].who), "client%u", i);
        memset(view.list[i].kind, 'k', sizeof(view.list[i].kind) - 1);
        view.list[i].fps = view.list[i].mbit_per_s = NAN;
    }
    for (unsigned i = 0; i < robots; i++)
        snprintf(view.robots[i].stream, sizeof(view.robots[i].stream), "robot%u", i);
}

static void draw(unsigned width, unsigned height)
{
    memset(&screen, 0, sizeof(screen));
    screen.width = width;
    screen.height = height;
    top_screen_fill(&view, "127.0.0.1:8080", &screen);
    for (unsigned i = 0; i < screen.count; i++)
        ck_assert_uint_le(strlen(screen.lines[i].text), width);
}

static bool shows(const char *text)
{
    for (unsigned i = 0; i < screen.count; i++) {
        if (strstr(screen.lines[i].text, text))
            return true;
    }
    return false;
}

START_TEST(a_small_terminal_shows_something_of_everything)
{
    fill_view(20, 40, 1);
    draw(80, 24);
    ck_assert_uint_eq(screen.count, 24);
    ck_assert_int_eq(screen.lines[0].style, TOP_TITLE);
    ck_assert(shows("up 1:02:05") && shows("camera0.packets") && shows("STAGE") && shows("robot0"));
    ck_assert(shows("client0") && shows(" more"));
    ck_assert_ptr_nonnull(strstr(screen.lines[23].text, "q quit"));
}
END_TEST

START_TEST(nothing_is_cut_off_where_there_is_room)
{
    fill_view(20, 40, 2);
    draw(120, 0);
    ck_assert(shows("camera19.packets") && shows("client39") && shows("robot1"));
    ck_assert(!shows(" more") && !shows("q quit"));
    draw(255, 200);
    ck_assert(shows("camera19.packets") && shows("client39"));
    ck_assert_uint_eq(screen.count, 200);
}
END_TEST

START_TEST(every_size_is_filled_without_a_line_too_many)
{
    for (unsigned rows = 0; rows < 40; rows += 3) {
        fill_view(rows, rows, rows % 4);
        for (unsigned height = 12; height < 80; height += 7) {
            draw(80, height);
            ck_assert_uint_le(screen.count, height);
        }
    }
}
END_TEST

START_TEST(what_is_wrong_stands_on_top)
{
    fill_view(0, 0, 0);
    snprintf(view.gate, sizeof(view.gate), "ESTOP");
    draw(80, 24);
    ck_assert_int_eq(screen.lines[0].style, TOP_ALARM);
    ck_assert(shows("gate ESTOP") && shows("nobody watches") && shows("nothing produces"));
    snprintf(view.problem, sizeof(view.problem), "nobody listens");
    draw(80, 24);
    ck_assert(shows("nobody listens") && !shows("nobody watches"));
}
END_TEST

START_TEST(json_says_null_where_nothing_is_known)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    fill_view(2, 1, 1);
    ck_assert_int_eq(top_print_json(&view, "here", out), 0);
    fclose(out);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(object);
    ck_assert(json_is_null(json_object_get(object, "commands_per_s")));
    const json_t *stream = json_array_get(json_object_get(object, "streams"), 1);
    ck_assert_str_eq(json_string_value(json_object_get(stream, "name")), "camera1.packets");
    ck_assert(json_is_null(json_object_get(stream, "age_s")));
    json_decref(object);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top");
    TCase *pages = tcase_create("pages");
    TCase *screens = tcase_create("screens");

    tcase_add_checked_fixture(pages, parse_page, drop_page);
    tcase_add_test(pages, values_are_found_by_name_and_label);
    tcase_add_test(pages, any_part_of_a_page_is_parsed);
    tcase_add_test(pages, percentiles_are_of_what_came_between);
    tcase_add_test(screens, times_are_short_at_any_size);
    tcase_add_test(screens, a_small_terminal_shows_something_of_everything);
    tcase_add_test(screens, nothing_is_cut_off_where_there_is_room);
    tcase_add_test(screens, every_size_is_filled_without_a_line_too_many);
    tcase_add_test(screens, what_is_wrong_stands_on_top);
    tcase_add_test(screens, json_says_null_where_nothing_is_known);
    suite_add_tcase(suite, pages);
    suite_add_tcase(suite, screens);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
