/* Webhook signatures, against the published vector (also in the clients' own tests). */
#include "service/webhook_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_vector(void **state) {
    (void)state;
    char signature[WEBHOOK_SIGNATURE_SIZE];
    assert_true(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}",
                             signature));
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_secret(void **state) {
    (void)state;
    char one[WEBHOOK_SECRET_SIZE], two[WEBHOOK_SECRET_SIZE], signature[WEBHOOK_SIGNATURE_SIZE];
    assert_true(webhook_secret_create(one, NULL) && webhook_secret_create(two, NULL));
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(one), 6 + 32);
    assert_memory_equal(one, "whsec_", 6);
    assert_null(strchr(one + 6, '_')); /* clients split at it */
    assert_true(webhook_sign(one, "msg_1", 1, "{}", signature));
    assert_false(webhook_sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_1", 1, "{}", signature));
    assert_false(webhook_sign("whsec_*", "msg_1", 1, "{}", signature));
}

static void test_secret_of_an_owner(void **state) {
    (void)state;
    const char *master = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    char alice[WEBHOOK_SECRET_SIZE], bob[WEBHOOK_SECRET_SIZE], nobody[WEBHOOK_SECRET_SIZE], signature[WEBHOOK_SIGNATURE_SIZE];
    assert_true(webhook_secret_of(master, "alice", alice) && webhook_secret_of(master, "bob", bob) &&
                webhook_secret_of(master, "", nobody));
    assert_string_equal(nobody, master);
    assert_string_not_equal(alice, bob);
    assert_string_not_equal(alice, master);
    assert_int_equal(strlen(alice), strlen(master));
    assert_true(webhook_sign(alice, "msg_1", 1, "{}", signature));
    assert_false(webhook_secret_of("whsec_*", "alice", alice));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vector), cmocka_unit_test(test_secret),
                                       cmocka_unit_test(test_secret_of_an_owner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
