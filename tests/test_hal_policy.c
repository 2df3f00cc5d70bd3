/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies by name, by file and by shared object: what fits is run, what does not is refused for
 * the right reason. The network's arithmetic against values worked out by hand.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <check.h>

#include "hal/mlp.h"
#include "hal/policies.h"
#include "hal/pose.h"
#include "motion/gait.h"
#include "tests/support.h"

static char dir[SUPPORT_PATH_BYTES];
static char path[SUPPORT_PATH_BYTES + 32];
static struct loaded_policy loaded;
static struct policy_observation observation;
static float joints[POLICY_JOINTS];

static void set_up(void)
{
    support_dir_make(dir);
    snprintf(path, sizeof(path), "%s/net.mlp", dir);
    observation = (struct policy_observation){
        .dt_s = 0.01F, .gravity = {0, 0, -1}, .orientation_xyzw = {0, 0, 0, 1}};
    pose_stand(observation.joint_position_rad);
}

static void tear_down(void)
{
    unlink(path);
    rmdir(dir);
}

/* ---- networks ---------------------------------------------------------------------------------
 */

#define HIDDEN 2

/* 45 inputs, two hidden neurons: the sum of the angular velocity, and minus the forward command. */
struct file {
    char magic[8];
    uint32_t sizes[4];
    float gains[3];
    float scale[TRAINING_SCALE_COUNT];
    float defaults[POLICY_JOINTS];
    uint32_t order[POLICY_JOINTS];
    uint32_t first_sizes[2];
    float first_weight[HIDDEN][TRAINING_INPUTS];
    float first_bias[HIDDEN];
    uint32_t second_sizes[2];
    float second_weight[POLICY_JOINTS][HIDDEN];
    float second_bias[POLICY_JOINTS];
};

static struct file good_file(enum mlp_activation activation)
{
    struct file file = {
        .magic = {'S', 'I', 'M', 'C', 'M', 'L', 'P', '1'},
        .sizes = {2, activation, TRAINING_INPUTS, POLICY_JOINTS},
        .gains = {0.5F, 25, 0.6F},
        .scale = {1, 0.25F, 2, 2, 1, 0.05F},
        .first_sizes = {TRAINING_INPUTS, HIDDEN},
        .first_weight = {{1, 1, 1}, {0, 0, 0, 0, 0, 0, -1}},
        .second_sizes = {HIDDEN, POLICY_JOINTS},
    };

    for (unsigned i = 0; i < POLICY_JOINTS; i++) {
        file.order[i] = POLICY_JOINTS - 1 - i;
        file.defaults[i] = 0.1F * (float)i;
        file.second_weight[i][0] = 1;
        file.second_weight[i][1] = i == 0 ? 10 : 0;
        file.second_bias[i] = (float)i;
    }
    return file;
}

static void write_bytes(const void *bytes, size_t count)
{
    FILE *out = fopen(path, "wb");

    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, count, out), count);
    fclose(out);
}

static int load_file(const struct file *file, size_t bytes)
{
    struct mlp *mlp = NULL;
    const char *reason = NULL;

    write_bytes(file, bytes);
    int error = mlp_load(path, &mlp, &reason);
    if (error < 0)
        ck_assert_ptr_nonnull(reason);
    mlp_unload(mlp);
    return error;
}

START_TEST(a_network_computes_what_paper_says)
{
    enum mlp_activation activation = _i == 0 ? MLP_ELU : MLP_RELU;
    struct file file = good_file(activation);
    char name[sizeof(path) + 4];

    write_bytes(&file, sizeof(file));
    snprintf(name, sizeof(name), "mlp:%s", path);
    ck_assert_int_eq(policy_load(name, &loaded), 0);
    observation.angular_velocity_radps[0] = 2;
    observation.angular_velocity_radps[1] = 1;
    observation.angular_velocity_radps[2] = 1; /* scaled by 0.25: the sum is 1 */
    observation.command[0] = 0.5F;             /* scaled by 2, weight -1: the sum is -1 */
    ck_assert_int_eq(loaded.policy->step(loaded.state, &observation, joints), 0);
    float negative = activation == MLP_ELU ? expf(-1) - 1 : 0;
    for (unsigned i = 0; i < POLICY_JOINTS; i++) {
        float output = 1 + (i == 0 ? 10 * negative : 0) + (float)i;
        unsigned joint = POLICY_JOINTS - 1 - i;
        ck_assert_float_eq_tol(joints[joint], 0.1F * (float)joint + 0.5F * output, 1e-5F);
    }
    struct policy_gains gains = loaded.policy->gains(loaded.state);
    ck_assert_float_eq(gains.stiffness_nm_per_rad, 25);
    ck_assert_float_eq(gains.damping_nms_per_rad, 0.6F);
    policy_unload(&loaded);
}
END_TEST

START_TEST(a_network_sees_its_own_last_output)
{
    struct file file = good_file(MLP_RELU);
    char name[sizeof(path) + 4];

    memset(file.first_weight, 0, sizeof(file.first_weight));
    file.first_weight[0][TRAINING_INPUTS - 1] = 1; /* the last output of the last joint */
    write_bytes(&file, sizeof(file));
    snprintf(name, sizeof(name), "mlp:%s", path);
    ck_assert_int_eq(policy_load(name, &loaded), 0);
    /* The last joint's output is 11, then 11 + 11, then 11 + 22; it is our joint 0. */
    for (unsigned i = 1; i <= 3; i++) {
        ck_assert_int_eq(loaded.policy->step(loaded.state, &observation, joints), 0);
        ck_assert_float_eq_tol(joints[0], 0.5F * 11 * (float)i, 1e-4F);
    }
    policy_unload(&loaded);
}
END_TEST

START_TEST(every_cut_file_is_refused)
{
    struct file file = good_file(MLP_ELU);

    ck_assert_int_eq(load_file(&file, sizeof(file)), 0);
    for (size_t bytes = 0; bytes < sizeof(file); bytes++)
        ck_assert_int_eq(load_file(&file, bytes), -EPROTO);
    uint8_t longer[sizeof(file) + 1] = {0};
    memcpy(longer, &file, sizeof(file));
    write_bytes(longer, sizeof(longer));
    struct mlp *mlp;
    const char *reason;
    ck_assert_int_eq(mlp_load(path, &mlp, &reason), -EPROTO);
}
END_TEST

static void spoil(struct file *file, unsigned kind)
{
    switch (kind) {
    case 0:
        file->magic[7] = '2';
        break;
    case 1:
        file->sizes[0] = 9;
        break;
    case 2:
        file->sizes[1] = 2;
        break;
    case 3:
        file->sizes[2] = 46;
        break;
    case 4:
        file->sizes[3] = 11;
        break;
    case 5:
        file->order[3] = file->order[4];
        break;
    case 6:
        file->order[3] = 12;
        break;
    case 7:
        file->first_sizes[1] = UINT32_MAX;
        break;
    case 8:
        file->second_sizes[0] = HIDDEN + 1;
        break;
    case 9:
        file->first_weight[1][7] = NAN;
        break;
    case 10:
        file->second_bias[2] = INFINITY;
        break;
    default:
        file->gains[0] = NAN;
        break;
    }
}

START_TEST(a_file_whose_parts_do_not_fit_is_refused)
{
    struct file file = good_file(MLP_ELU);

    spoil(&file, (unsigned)_i);
    ck_assert_int_eq(load_file(&file, sizeof(file)), -EPROTO);
}
END_TEST

/* ---- names and shared objects -------------------------------------------------------------------
 */

START_TEST(built_in_policies_are_found)
{
    static const char *const names[] = {"stand", "trot"};
    float stand[POLICY_JOINTS];

    pose_stand(stand);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(policy_load(names[i], &loaded), 0);
        ck_assert_int_eq(loaded.policy->step(loaded.state, &observation, joints), 0);
        for (unsigned joint = 0; joint < POLICY_JOINTS; joint++)
            ck_assert_float_eq_tol(joints[joint], stand[joint], 1e-3F);
        policy_unload(&loaded);
    }
}
END_TEST

START_TEST(trot_is_the_simulators_gait)
{
    struct gait gait;
    double expected[ROBOT_JOINTS];
    struct gait_input input = {.command = {0.4, 0, 0.2}, .alpha = 1};

    gait_init(&gait);
    ck_assert_int_eq(policy_load("trot", &loaded), 0);
    observation.command[0] = 0.4F;
    observation.command[2] = 0.2F;
    for (unsigned i = 0; i < 300; i++) {
        gait_step(&gait, &input, (double)observation.dt_s, expected);
        ck_assert_int_eq(loaded.policy->step(loaded.state, &observation, joints), 0);
        for (unsigned joint = 0; joint < POLICY_JOINTS; joint++)
            ck_assert_float_eq_tol(joints[joint], (float)expected[joint], 1e-4F);
    }
    policy_unload(&loaded);
}
END_TEST

START_TEST(what_is_no_policy_is_refused)
{
    char long_name[1025];

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    ck_assert_int_eq(policy_load(long_name, &loaded), -ENAMETOOLONG);
    ck_assert_int_eq(policy_load("waltz", &loaded), -ENOENT);
    ck_assert_int_eq(policy_load("", &loaded), -ENOENT);
    ck_assert_int_eq(policy_load("./waltz.so", &loaded), -ENOENT);
    ck_assert_int_eq(policy_load("mlp", &loaded), -EINVAL);
    ck_assert_int_eq(policy_load("mlp:/no/such/file", &loaded), -ENOENT);
    ck_assert_int_eq(policy_load(SAMPLE_DIR "/libsample.so", &loaded), -EINVAL);
    ck_assert_int_eq(policy_load(SAMPLE_DIR "/libsample_abi.so:1", &loaded), -EPROTONOSUPPORT);
    ck_assert_int_eq(policy_load(SAMPLE_DIR "/libsample_joints.so:1", &loaded), -ERANGE);
}
END_TEST

START_TEST(a_shared_object_is_run_with_its_argument)
{
    ck_assert_int_eq(policy_load(SAMPLE_DIR "/libsample.so:0.25", &loaded), 0);
    ck_assert_str_eq(loaded.policy->name, "sample");
    ck_assert_str_eq(loaded.policy->version, "7");
    ck_assert_int_eq(loaded.policy->step(loaded.state, &observation, joints), 0);
    for (unsigned i = 0; i < POLICY_JOINTS; i++)
        ck_assert_float_eq(joints[i], observation.joint_position_rad[i] + 0.25F);
    policy_unload(&loaded);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("policy");
    Suite *suite = suite_create("hal_policy");
    SRunner *runner = srunner_create(suite);

    suite_add_tcase(suite, cases);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, a_network_computes_what_paper_says, 0, 2);
    tcase_add_test(cases, a_network_sees_its_own_last_output);
    tcase_add_test(cases, every_cut_file_is_refused);
    tcase_add_loop_test(cases, a_file_whose_parts_do_not_fit_is_refused, 0, 12);
    tcase_add_test(cases, built_in_policies_are_found);
    tcase_add_test(cases, trot_is_the_simulators_gait);
    tcase_add_test(cases, what_is_no_policy_is_refused);
    tcase_add_test(cases, a_shared_object_is_run_with_its_argument);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
