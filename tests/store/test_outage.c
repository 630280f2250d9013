/* What only a PostgreSQL store has to stand: lost connections, restarts of the server, several handles
 * at the same time, URLs. Run by run_postgres.sh. */
#include "fixture.h"

int main(void) {
    if (!test_postgres()) {
        print_message("skipped: INPAINT_TEST_POSTGRES names no server (tests/store/run_postgres.sh starts one)\n");
        return 77;
    }
    return 0;
}
