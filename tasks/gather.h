/* Measuring by a team of processes (runtime/team/team.h): each rank makes the terms of its part of the samples,
 * and rank 0 the measures of all, which are those of one process to the last bit (tasks/terms.h).
 *
 *   moire__part part;
 *   collect(..., moire__gather_part(team, &part), &terms)     // takes its rows by moire__part_take
 *   moire__gather_measures(team, &terms, measured_of, measures, error)
 */
#ifndef MOIRE_TASKS_GATHER_H
#define MOIRE_TASKS_GATHER_H

#include "runtime/measure/measures.h"
#include "runtime/team/team.h"
#include "tasks/part.h"
#include "tasks/terms.h"

/* This rank's part, made in `part`; NULL where the process is alone. */
moire__part *moire__gather_part(const moire__team *team, moire__part *part);

/* Rank 0's terms become those of all ranks, in their order; the others' stay. All ranks call it, and have made
 * the same columns. */
moire_status moire__gather_terms(moire__team *team, moire__terms *terms, moire_error *error);

/* moire__gather_terms, and on rank 0 the measures of the terms. */
moire_status moire__gather_measures(moire__team *team, moire__terms *terms,
                                    moire_status (*measured_of)(const moire__terms *terms,
                                                                moire__measures *measures, moire_error *error),
                                    moire__measures *measures, moire_error *error);

#endif
