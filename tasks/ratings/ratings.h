/* The task `ratings`: what its files share. */
#ifndef MOIRE_TASKS_RATINGS_RATINGS_H
#define MOIRE_TASKS_RATINGS_RATINGS_H

#include "tasks/task.h"

#endif
