/* Finding the module of the MPI library that this process was started by. */
#ifndef MOIRE_RUNTIME_TEAM_LOAD_H
#define MOIRE_RUNTIME_TEAM_LOAD_H

#include "moire/status.h"
#include "runtime/team/transport.h"

/* The module that is wanted, "openmpi"; NULL where the process was started alone. */
const char *moire__transport_wanted(void);
/* *transport is NULL where the process was started alone: neither the environment of Open MPI's nor that of
 * MPICH's mpirun is there, nor that of srun. MOIRE_MPI in the environment names the module (openmpi, mpich), or
 * is off. */
moire_status moire__transport_load(const moire__transport **transport, moire_error *error);

#endif
