#include "sample/sampler.h"

#include "base/file.h"
#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct sampler_config hosted = {
    .beta_start = 0.00085, .beta_end = 0.012, .beta_schedule = BETA_SCALED_LINEAR, .train_timesteps = 1000, .steps_offset = 1};

static struct sampler *create(struct sampler_config config, enum sampler_kind kind, int steps, size_t count) {
    struct sampler *sampler = NULL;
    struct error error = {0};
    config.kind = kind;
    if (!sampler_create(&config, steps, count, &sampler, &error)) fail_msg("%s", error.message);
    return sampler;
}

static void refuses_steps_outside(void **state) {
    (void)state;
    static const int wrong[] = {0, -1, 1001};
    for (size_t i = 0; i < 3; i++) {
        struct sampler *sampler;
        struct error error = {0};
        assert_false(sampler_create(&hosted, wrong[i], 4, &sampler, &error));
        assert_int_equal(error.code, ERROR_ARGUMENT);
    }
}

/* Every number of steps stays inside what was trained, falls, and can be walked to its end. */
static void any_number_of_steps(void **state) {
    (void)state;
    static const int steps[] = {1, 2, 3, 499, 501, 999, 1000};
    for (int kind = SAMPLER_DDIM; kind <= SAMPLER_PNDM; kind++) {
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            struct sampler *sampler = create(hosted, (enum sampler_kind)kind, steps[k], 2);
            const int *timesteps = sampler_timesteps(sampler);
            float x[2] = {0.3f, -1.0f}, prediction[2] = {0.1f, -0.2f}, x0[2];
            for (int i = 0; i < sampler_evaluations(sampler); i++) {
                assert_in_range(timesteps[i], 0, 999);
                assert_true(i == 0 || timesteps[i] <= timesteps[i - 1]);
                sampler_step(sampler, i, prediction, x, x0);
                assert_true(isfinite(x[0]) && isfinite(x0[1]));
            }
            sampler_free(sampler);
        }
    }
}

/* Feeding v = sqrt(a) e - sqrt(1 - a) x0 must do what feeding e does. */
static void velocity_equals_noise(void **state) {
    (void)state;
    for (int kind = SAMPLER_DDIM; kind <= SAMPLER_PNDM; kind++) {
        struct sampler_config v_config = hosted;
        v_config.prediction_type = PREDICTION_V;
        struct sampler *by_noise = create(hosted, (enum sampler_kind)kind, 1, 3);
        struct sampler *by_velocity = create(v_config, (enum sampler_kind)kind, 1, 3);
        double alpha = (1 - 0.00085) * (1 - pow(sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) / 999, 2));
        float x[3] = {0.5f, -2, 1}, y[3], e[3] = {0.2f, 0.9f, -1.3f}, v[3], x0[3], y0[3];
        memcpy(y, x, sizeof x);
        for (int i = 0; i < 3; i++) {
            double clean = (x[i] - sqrt(1 - alpha) * e[i]) / sqrt(alpha);
            v[i] = (float)(sqrt(alpha) * e[i] - sqrt(1 - alpha) * clean);
        }
        sampler_step(by_noise, 0, e, x, x0);
        sampler_step(by_velocity, 0, v, y, y0);
        for (int i = 0; i < 3; i++) {
            assert_true(fabsf(x[i] - y[i]) < 1e-5f);
            assert_true(fabsf(x0[i] - y0[i]) < 1e-5f);
        }
        sampler_free(by_noise);
        sampler_free(by_velocity);
    }
}

/* With the true noise as prediction, a walk ends at the clean latent, whatever the sampler. */
static void true_noise_leads_home(void **state) {
    (void)state;
    for (int kind = SAMPLER_DDIM; kind <= SAMPLER_PNDM; kind++) {
        struct sampler_config config = hosted;
        config.set_alpha_to_one = true;
        struct sampler *sampler = create(config, (enum sampler_kind)kind, 20, 1);
        float clean = 0.7f, e = -0.4f, x0 = 0, x;
        double product = 1; /* alpha at the first timestep, 951 */
        for (int i = 0; i <= sampler_timesteps(sampler)[0]; i++) {
            double root = sqrt(0.00085) + (sqrt(0.012) - sqrt(0.00085)) * i / 999;
            product *= 1 - root * root;
        }
        x = (float)(sqrt(product) * (double)clean + sqrt(1 - product) * (double)e);
        for (int i = 0; i < sampler_evaluations(sampler); i++) sampler_step(sampler, i, &e, &x, &x0);
        assert_true(fabsf(x - clean) < 1e-3f);
        assert_true(fabsf(x0 - clean) < 1e-3f);
        sampler_free(sampler);
    }
}

static void clips_when_asked(void **state) {
    (void)state;
    struct sampler_config config = hosted;
    config.clip_sample = true;
    struct sampler *sampler = create(config, SAMPLER_DDIM, 10, 1);
    float x = 30, e = 0, x0;
    sampler_step(sampler, 0, &e, &x, &x0);
    assert_true(x0 == 1.0f);
    sampler_free(sampler);
}

static void survives_every_failing_allocation(void **state) {
    (void)state;
    struct sampler_config config = hosted;
    config.kind = SAMPLER_PNDM;
    for (size_t n = 1;; n++) {
        struct sampler *sampler;
        struct error error = {0};
        memory_fail_at(n, 0);
        bool made = sampler_create(&config, 5, 16, &sampler, &error);
        memory_fail_at(0, 0);
        if (made) {
            sampler_free(sampler);
            assert_true(n > 5);
            return;
        }
        assert_int_equal(error.code, ERROR_MEMORY);
    }
}

/* ==== scheduler_config.json ==== */

static enum error_code read_text(const char *json, struct sampler_config *config) {
    char path[] = "/tmp/sampler-config-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, json, strlen(json)), (ssize_t)strlen(json));
    close(file);
    struct error error = {0};
    bool read = sampler_config_read(path, config, &error);
    unlink(path);
    assert_true(read == (error.code == ERROR_NONE));
    return error.code;
}

static void reads_the_bundled_config(void **state) {
    (void)state;
    struct sampler_config config;
    struct error error;
    if (!sampler_config_read(SOURCE_DIR "/models/bundled/scheduler/scheduler_config.json", &config, &error)) fail_msg("%s", error.message);
    assert_int_equal(config.kind, SAMPLER_DDIM);
    assert_int_equal(config.prediction_type, PREDICTION_V);
    assert_int_equal(config.beta_schedule, BETA_SCALED_LINEAR);
    assert_true(config.beta_start == 0.00085 && config.beta_end == 0.012);
    assert_int_equal(config.steps_offset, 1);
    assert_false(config.set_alpha_to_one || config.clip_sample);
}

static void falls_back_and_overrides_as_the_pipeline(void **state) {
    (void)state;
    struct sampler_config config;
    assert_int_equal(read_text("{\"_class_name\":\"PNDMScheduler\",\"steps_offset\":0}", &config), ERROR_NONE);
    assert_int_equal(config.kind, SAMPLER_PNDM);
    assert_int_equal(config.steps_offset, 1);
    assert_false(config.set_alpha_to_one || config.clip_sample);
    assert_int_equal(read_text("{\"_class_name\":\"DDIMScheduler\"}", &config), ERROR_NONE);
    assert_true(config.set_alpha_to_one && config.clip_sample); /* the class's own defaults */
    assert_int_equal(read_text("{\"_class_name\":\"EulerDiscreteScheduler\",\"timestep_spacing\":\"linspace\"}", &config), ERROR_NONE);
    assert_int_equal(config.kind, SAMPLER_DDIM);
    assert_false(config.clip_sample);
}

static void knows_the_samplers_of_few_steps(void **state) {
    (void)state;
    struct sampler_config config;
    assert_int_equal(read_text("{\"_class_name\":\"LCMScheduler\",\"timestep_spacing\":\"leading\"}", &config), ERROR_NONE);
    assert_int_equal(config.kind, SAMPLER_LCM);
    assert_int_equal(sampler_steps_most(&config), 50);
    assert_false(config.clip_sample);
    assert_int_equal(read_text("{\"_class_name\":\"TCDScheduler\",\"original_inference_steps\":25}", &config), ERROR_NONE);
    assert_int_equal(config.kind, SAMPLER_TCD);
    assert_int_equal(sampler_steps_most(&config), 25);
    struct sampler *sampler;
    struct error error = {0};
    assert_false(sampler_create(&config, 26, 4, &sampler, &error));
    assert_int_equal(error.code, ERROR_ARGUMENT);
    assert_int_equal(read_text("{\"_class_name\":\"DDIMScheduler\",\"timestep_spacing\":\"trailing\"}", &config), ERROR_NONE);
    assert_true(config.kind == SAMPLER_DDIM && config.trailing);
}

static void refuses_what_it_does_not_know(void **state) {
    (void)state;
    static const struct {
        const char *json;
        enum error_code code;
    } cases[] = {
        {"", ERROR_FORMAT},
        {"[]", ERROR_FORMAT},
        {"{\"beta_start\":", ERROR_FORMAT},
        {"{\"beta_start\":\"a\"}", ERROR_FORMAT},
        {"{\"beta_start\":-1}", ERROR_FORMAT},
        {"{\"beta_end\":1}", ERROR_FORMAT},
        {"{\"num_train_timesteps\":0}", ERROR_FORMAT},
        {"{\"num_train_timesteps\":1e300}", ERROR_FORMAT},
        {"{\"num_train_timesteps\":10.5}", ERROR_FORMAT},
        {"{\"set_alpha_to_one\":1}", ERROR_FORMAT},
        {"{\"prediction_type\":\"sample\"}", ERROR_UNSUPPORTED},
        {"{\"beta_schedule\":\"squaredcos_cap_v2\"}", ERROR_UNSUPPORTED},
        {"{\"_class_name\":\"DDIMScheduler\",\"thresholding\":true}", ERROR_UNSUPPORTED},
        {"{\"_class_name\":\"DDIMScheduler\",\"rescale_betas_zero_snr\":true}", ERROR_UNSUPPORTED},
        {"{\"_class_name\":\"DDIMScheduler\",\"timestep_spacing\":\"linspace\"}", ERROR_UNSUPPORTED},
        {"{\"_class_name\":\"PNDMScheduler\",\"timestep_spacing\":\"trailing\"}", ERROR_UNSUPPORTED},
        {"{\"_class_name\":\"LCMScheduler\",\"original_inference_steps\":0}", ERROR_FORMAT},
        {"{\"_class_name\":\"LCMScheduler\",\"original_inference_steps\":2000}", ERROR_FORMAT},
        {"{\"_class_name\":\"PNDMScheduler\",\"trained_betas\":[0.1]}", ERROR_UNSUPPORTED},
        {"{\"_class_name\":\"DDIMScheduler\",\"clip_sample_range\":2}", ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sampler_config config;
        enum error_code code = read_text(cases[i].json, &config);
        if (code != cases[i].code) fail_msg("%s gave %s", cases[i].json, error_name(code));
    }
    struct sampler_config config;
    struct error error = {0};
    assert_false(sampler_config_read("/nonexistent/scheduler_config.json", &config, &error));
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_steps_outside),
        cmocka_unit_test(any_number_of_steps),
        cmocka_unit_test(velocity_equals_noise),
        cmocka_unit_test(true_noise_leads_home),
        cmocka_unit_test(clips_when_asked),
        cmocka_unit_test(survives_every_failing_allocation),
        cmocka_unit_test(reads_the_bundled_config),
        cmocka_unit_test(falls_back_and_overrides_as_the_pipeline),
        cmocka_unit_test(knows_the_samplers_of_few_steps),
        cmocka_unit_test(refuses_what_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
