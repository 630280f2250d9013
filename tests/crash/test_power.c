/* Power loss at random moments, on a disk that loses all that was not synced: what was acknowledged
 * before is there, and the store is sound. A control case shows that the disk does forget. */
#include "../store/fixture.h"

#include "disk.h"
#include "store/blob.h"

enum { ACKNOWLEDGED_MAX = 2000, LOSSES_MAX = 400 };

struct acknowledgement {
    char what, name[101]; /* c created, f finished, b blob */
};

static struct acknowledgement acknowledged[ACKNOWLEDGED_MAX];
static size_t acknowledged_count;

/* One power loss: where what is left lies, and how much had been acknowledged by then. */
static struct {
    char folder[128];
    size_t acknowledged;
} losses[LOSSES_MAX];
static size_t losses_count;
static char losses_folder[64];
static uint64_t one_in;

static void acknowledge(char what, const char *name) {
    assert_true(acknowledged_count < ACKNOWLEDGED_MAX);
    acknowledged[acknowledged_count].what = what;
    snprintf(acknowledged[acknowledged_count++].name, 101, "%s", name);
}

/* In front of a change of the disk, perhaps the power goes. */
static void perhaps(void) {
    if (losses_count == LOSSES_MAX || disk_random(one_in) != 0) return;
    snprintf(losses[losses_count].folder, sizeof losses[0].folder, "%s/%zu", losses_folder, losses_count);
    losses[losses_count].acknowledged = acknowledged_count;
    disk_lose_power(losses[losses_count].folder);
    losses_count++;
}

/* ---- what goes on meanwhile ---- */

static void paint_one(struct store *store, struct blobs *blobs) {
    struct lease lease;
    char content[64], name[101];
    if (!claim_any(store, "worker", 60, &lease)) return;
    ASSERT_OK(store_log(store, &lease, "a line of the log\n", error));
    snprintf(content, sizeof content, "the picture of %s", lease.id);
    ASSERT_OK(blob_put(blobs, ".png", content, strlen(content), name, error));
    acknowledge('b', name);
    finish_with(store, &lease, name);
    acknowledge('f', lease.id);
}

/* Long enough to begin the log anew, if `padding` is large. */
static void work(const char *folder, int rounds, int padding) {
    char url[128], path[128];
    struct store *store;
    struct blobs *blobs;
    make_store_url(folder, url);
    snprintf(path, sizeof path, "%s/blobs", folder);
    ASSERT_OK(store_open(url, &store, error));
    ASSERT_OK(blobs_open(path, &blobs, error));
    for (int round = 0; round < rounds; round++) {
        struct prediction prediction = make_prediction();
        char *prompt = memory_alloc((size_t)padding + 1);
        memset(prompt, 'x', (size_t)padding);
        prompt[padding] = 0;
        json_object_set_new(prediction.input, "prompt", json_string(prompt));
        memory_free(prompt);
        create_prediction(store, &prediction, NULL);
        acknowledge('c', prediction.id);
        prediction_free(&prediction);
        if (round % 2) paint_one(store, blobs);
    }
    store_close(store);
    blobs_close(blobs);
}

/* ---- what is left ---- */

static void verify(const char *folder, size_t count) {
    char url[160], path[160], *data;
    struct store *store;
    struct blobs *blobs;
    size_t length;
    snprintf(url, sizeof url, "%s/store.db", folder);
    snprintf(path, sizeof path, "%s/blobs", folder);
    ASSERT_OK(store_open(url, &store, error));
    ASSERT_OK(blobs_open(path, &blobs, error));
    ASSERT_OK(store_check(store, error));
    for (size_t i = 0; i < count; i++) {
        if (acknowledged[i].what == 'b') {
            ASSERT_OK(blob_read(blobs, acknowledged[i].name, 1000, &data, &length, error));
            assert_int_equal(strncmp(data, "the picture of ", 15), 0);
            memory_free(data);
        } else {
            enum prediction_status status = status_of(store, acknowledged[i].name);
            if (acknowledged[i].what == 'f') assert_int_equal(status, PREDICTION_SUCCEEDED);
        }
    }
    store_close(store);
    blobs_close(blobs);
}

static void run(uint64_t seed, int rounds, int padding, uint64_t frequency) {
    char folder[64];
    make_folder(folder);
    make_folder(losses_folder);
    acknowledged_count = losses_count = 0;
    one_in = frequency;
    disk_watch(folder, seed);
    disk.before_change = perhaps;
    work(folder, rounds, padding);
    disk_unwatch();
    assert_true(losses_count > 10);
    for (size_t i = 0; i < losses_count; i++) {
        print_message("seed %llu, loss %zu of %zu\n", (unsigned long long)seed, i, losses_count);
        verify(losses[i].folder, losses[i].acknowledged);
    }
    remove_folder(losses_folder);
    remove_folder(folder);
}

static void test_power_loss(void **state) {
    (void)state;
    const char *given = getenv("INPAINT_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1, last = given ? first : getenv("INPAINT_SOAK") ? 100 : 2;
    for (uint64_t seed = first; seed <= last; seed++) {
        run(seed, 12, 100, 5);
        run(seed, 60, 60000, 100); /* checkpoints, and the log begun anew */
    }
}

/* Without an fsync a file does not survive: the disk is not kinder than it says. */
static void test_the_disk_forgets(void **state) {
    (void)state;
    char folder[64], path[128];
    int lost = 0, kept = 0;
    struct stat status;
    make_folder(folder);
    make_folder(losses_folder);
    disk_watch(folder, 1);
    snprintf(path, sizeof path, "%s/file", folder);
    int descriptor = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(descriptor, "hello", 5), 5);
    for (int i = 0; i < 40; i++) {
        char to[128];
        snprintf(to, sizeof to, "%s/%d", losses_folder, i);
        disk_lose_power(to);
        snprintf(path, sizeof path, "%s/%d/file", losses_folder, i);
        if (stat(path, &status) != 0 || status.st_size != 5)
            lost++;
        else
            kept++;
    }
    assert_true(lost > 10 && kept > 3);
    assert_int_equal(fsync(descriptor), 0);
    int opened = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fsync(opened), 0);
    snprintf(path, sizeof path, "%s/synced", losses_folder);
    disk_lose_power(path);
    snprintf(path, sizeof path, "%s/synced/file", losses_folder);
    assert_true(stat(path, &status) == 0 && status.st_size == 5);
    close(descriptor);
    close(opened);
    disk_unwatch();
    remove_folder(losses_folder);
    remove_folder(folder);
}

int main(void) {
    if (access("/dev/shm", W_OK) != 0) return 77; /* inodes must not be used twice */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_disk_forgets),
        cmocka_unit_test(test_power_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
