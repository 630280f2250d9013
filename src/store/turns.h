/* Whose prediction is claimed next, in the SQL that SQLite and PostgreSQL share. */
#ifndef STORE_TURNS_H
#define STORE_TURNS_H

/* The oldest of each line, a line being what waits of one owner for one version: jumps from line to line
 * along predictions_lines, however long they are. */
#define HEADS                                                                                                                              \
    "WITH RECURSIVE heads (head) AS (SELECT (SELECT number FROM predictions WHERE status = 0 ORDER BY owner, model, version, number"       \
    " LIMIT 1) UNION ALL SELECT coalesce("                                                                                                 \
    "(SELECT number FROM predictions WHERE status = 0 AND owner = line.owner AND model = line.model AND version > line.version"            \
    " ORDER BY version, number LIMIT 1),"                                                                                                  \
    " (SELECT number FROM predictions WHERE status = 0 AND owner = line.owner AND model > line.model"                                      \
    " ORDER BY model, version, number LIMIT 1),"                                                                                           \
    " (SELECT number FROM predictions WHERE status = 0 AND owner > line.owner ORDER BY owner, model, version, number LIMIT 1))"            \
    " FROM heads JOIN predictions line ON line.number = head) "

/* Whose turn it is, as store_claim() says. */
#define BY_TURN                                                                                                                            \
    " ORDER BY coalesce((SELECT priority FROM tokens WHERE name = predictions.owner AND revoked = 0), 0) DESC,"                            \
    " (SELECT count(*) FROM predictions busy WHERE busy.status = 1 AND busy.owner = predictions.owner),"                                   \
    " coalesce((SELECT served FROM turns WHERE turns.owner = predictions.owner), 0), number"

#endif
