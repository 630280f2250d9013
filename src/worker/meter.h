/* Progress lines as tqdm writes them, because clients read progress out of the logs:
 *
 *       2%|▏         | 1/50 [00:00<00:06,  7.96it/s]
 */
#ifndef WORKER_METER_H
#define WORKER_METER_H

#include <stdbool.h>

enum { METER_LINE_SIZE = 160 };

struct meter {
    int steps, last_step;
    double began, last;                    /* seconds: of step 0, of the last line */
    double average_steps, average_seconds; /* moving averages between lines */
};

void meter_begin(struct meter *meter, int steps, double seconds);

/* The line for `step` done at `seconds`, without its end; false when it is too early for another
 * one (less than a tenth of a second, and not the last step). Step 0 shows an unknown rate. */
bool meter_line(struct meter *meter, int step, double seconds, char line[METER_LINE_SIZE]);

#endif
