/* SPDX-License-Identifier: Apache-2.0 */
/* A program's flags and environment from one table: who wins, and what is refused. */
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "base/options.h"

struct settings {
    uint32_t rate;
    uint32_t width;
    uint32_t height;
    bool loud;
    bool dump;
};

static bool read_rate(void *into, const char *value)
{
    return option_whole(value, 1, 1000, &((struct settings *)into)->rate);
}

static bool read_size(void *into, const char *value)
{
    struct settings *settings = into;

    return option_size(value, 4096, &settings->width, &settings->height);
}

static bool read_loud(void *into, const char *value)
{
    ((struct settings *)into)->loud = !value || strcmp(value, "1") == 0;
    return !value || strlen(value) == 1;
}

static bool read_word(void *into, const char *word)
{
    ((struct settings *)into)->dump = true;
    return strcmp(word, "dump") == 0;
}

static const struct option_row first[] = {
    {"rate", "TEST_RATE", "TEST_OLD_RATE", "HZ", read_rate, "1 to 1000", "how often"},
};
static const struct option_row second[] = {
    {"size", NULL, NULL, "WxH", read_size, "a size", "how large,\nin pixels"},
    {"loud", "TEST_LOUD", NULL, NULL, read_loud, "0 or 1", "how loud"},
};

static struct settings one;
static struct settings other;

static enum option_result parse(const char *words)
{
    const struct option_group groups[] = {{first, 1, &one}, {second, 2, &other}};
    const struct option_program program = {.name = "test",
                                           .version = "1",
                                           .before = "Usage: test\n",
                                           .after = "",
                                           .operand = read_word,
                                           .groups = groups,
                                           .group_count = 2};
    char text[128];
    char name[] = "test";
    char *argv[16] = {name};
    int argc = 1;

    one = (struct settings){.rate = 7};
    other = (struct settings){0};
    strcpy(text, words);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return option_read(&program, argc, argv);
}

static void set_up(void)
{
    unsetenv("TEST_RATE");
    unsetenv("TEST_OLD_RATE");
    unsetenv("TEST_LOUD");
}

START_TEST(flags_beat_variables_and_variables_beat_defaults)
{
    ck_assert_int_eq(parse(""), OPTION_GO);
    ck_assert_uint_eq(one.rate, 7);
    setenv("TEST_OLD_RATE", "20", 1);
    ck_assert_int_eq(parse(""), OPTION_GO);
    ck_assert_uint_eq(one.rate, 20);
    setenv("TEST_RATE", "30", 1);
    ck_assert_int_eq(parse(""), OPTION_GO);
    ck_assert_uint_eq(one.rate, 30);
    ck_assert_int_eq(parse("--rate=40"), OPTION_GO);
    ck_assert_uint_eq(one.rate, 40);
}
END_TEST

START_TEST(an_empty_variable_is_none)
{
    setenv("TEST_RATE", "", 1);
    setenv("TEST_OLD_RATE", "20", 1);
    ck_assert_int_eq(parse(""), OPTION_GO);
    ck_assert_uint_eq(one.rate, 20);
    setenv("TEST_OLD_RATE", "", 1);
    ck_assert_int_eq(parse(""), OPTION_GO);
    ck_assert_uint_eq(one.rate, 7);
}
END_TEST

START_TEST(each_group_fills_its_own)
{
    setenv("TEST_LOUD", "1", 1);
    ck_assert_int_eq(parse("--size 640x480 dump --rate 5"), OPTION_GO);
    ck_assert_uint_eq(one.rate, 5);
    ck_assert(one.dump && other.loud && !one.loud);
    ck_assert_uint_eq(other.width, 640);
    ck_assert_uint_eq(other.height, 480);
}
END_TEST

START_TEST(what_is_not_valid_is_refused)
{
    static const char *const wrong[] = {"--rate 0",     "--rate 1001", "--rate -1",  "--rate 1x",
                                        "--rate +1",    "--rate",      "--waltz",    "walk",
                                        "--size 640x",  "--size x480", "--size 640", "--size 0x10",
                                        "--size 4097x8"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(parse(wrong[i]) == OPTION_WRONG, "%s", wrong[i]);
    ck_assert_uint_eq(other.width, 0);
    setenv("TEST_RATE", "often", 1);
    ck_assert_int_eq(parse(""), OPTION_WRONG);
}
END_TEST

START_TEST(help_and_version_are_answered)
{
    ck_assert_int_eq(parse("--help"), OPTION_DONE);
    ck_assert_int_eq(parse("--version"), OPTION_DONE);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("options");
    Suite *suite = suite_create("options");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, NULL);
    tcase_add_test(cases, flags_beat_variables_and_variables_beat_defaults);
    tcase_add_test(cases, an_empty_variable_is_none);
    tcase_add_test(cases, each_group_fills_its_own);
    tcase_add_test(cases, what_is_not_valid_is_refused);
    tcase_add_test(cases, help_and_version_are_answered);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
