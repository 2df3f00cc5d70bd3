/* SPDX-License-Identifier: Apache-2.0 */
/* The mailbox: order, bounds, and threads. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <check.h>
#include <sched.h>

#include "base/mailbox.h"

START_TEST(messages_come_out_as_they_went_in)
{
    struct mailbox *mailbox = NULL;
    struct mailbox_message message;

    ck_assert_int_eq(mailbox_create(100, &mailbox), 0);
    ck_assert_int_eq(mailbox_take(mailbox, &message), -EAGAIN);
    for (unsigned i = 0; i < 500; i++) { /* far more than once around the buffer */
        char head[16];
        int head_bytes = snprintf(head, sizeof(head), "subject.%u", i);
        struct mailbox_message sent = {i, head, (size_t)head_bytes, "\0b", i % 3};
        ck_assert_int_eq(mailbox_post(mailbox, &sent), 0);
        if (i % 2 == 0)
            continue;
        for (unsigned k = i - 1; k <= i; k++) {
            ck_assert_int_eq(mailbox_take(mailbox, &message), 0);
            snprintf(head, sizeof(head), "subject.%u", k);
            ck_assert_uint_eq(message.tag, k);
            ck_assert_str_eq(message.head, head);
            ck_assert_uint_eq(message.body_bytes, k % 3);
            ck_assert_mem_eq(message.body, "\0b", k % 3);
            ck_assert_int_eq(message.body[k % 3], 0);
        }
    }
    mailbox_destroy(mailbox);
}
END_TEST

START_TEST(a_full_mailbox_refuses_the_new_and_keeps_the_old)
{
    struct mailbox *mailbox = NULL;
    struct mailbox_message message = {1, "ab", 2, "cdefgh", 6};
    struct pollfd ready;
    unsigned posted = 0;

    ck_assert_int_eq(mailbox_create(100, &mailbox), 0);
    ready = (struct pollfd){.fd = mailbox_fd(mailbox), .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    while (mailbox_post(mailbox, &message) == 0)
        posted++;
    ck_assert_uint_eq(posted, 5); /* 20 bytes each */
    ck_assert_uint_eq(mailbox_dropped(mailbox), 1);
    ck_assert_int_eq(poll(&ready, 1, 0), 1);
    message.body_bytes = 1000;
    ck_assert_int_eq(mailbox_post(mailbox, &message), -EMSGSIZE);
    for (unsigned i = 0; i < posted; i++) {
        ck_assert_int_eq(mailbox_take(mailbox, &message), 0);
        ck_assert_str_eq(message.body, "cdefgh");
    }
    ck_assert_int_eq(mailbox_take(mailbox, &message), -EAGAIN);
    ck_assert_int_eq(poll(&ready, 1, 0), 0);
    mailbox_destroy(mailbox);
}
END_TEST

#define POSTS 20000

static void *post_many(void *argument)
{
    struct mailbox *mailbox = argument;
    struct mailbox_message message = {0, "s", 1, "payload", 7};

    for (uint32_t i = 0; i < POSTS; i++) {
        message.tag = i;
        while (mailbox_post(mailbox, &message) == -EAGAIN)
            sched_yield();
    }
    return NULL;
}

START_TEST(several_threads_post_and_order_is_kept_for_each)
{
    struct mailbox *mailbox = NULL;
    pthread_t threads[2];
    struct mailbox_message message;
    uint64_t sum = 0;
    unsigned taken = 0;

    ck_assert_int_eq(mailbox_create(4096, &mailbox), 0);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, post_many, mailbox), 0);
    while (taken < 2 * POSTS) {
        struct pollfd ready = {.fd = mailbox_fd(mailbox), .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, 5000), 1); /* never empty-handed for long */
        while (mailbox_take(mailbox, &message) == 0) {
            sum += message.tag;
            taken++;
        }
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(sum, (uint64_t)POSTS * (POSTS - 1));
    mailbox_destroy(mailbox);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mailbox");
    TCase *cases = tcase_create("mailbox");
    SRunner *runner = srunner_create(suite);

    tcase_add_test(cases, messages_come_out_as_they_went_in);
    tcase_add_test(cases, a_full_mailbox_refuses_the_new_and_keeps_the_old);
    tcase_add_test(cases, several_threads_post_and_order_is_kept_for_each);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
