/* The transport over MPI: a module of its own for each library (moire-openmpi.so, moire-mpich.so), since one is
 * not binary compatible with the other, and since the command starts where there is none. MPI moves bytes;
 * nothing is added up by it. */
#include "runtime/team/transport.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A request fits the number that stands for it, and goes in and out by its bytes. */
_Static_assert(sizeof(MPI_Request) <= sizeof(int64_t), "requests fit 64 bits");

static int64_t packed(MPI_Request request) {
  int64_t number = 0;
  memcpy(&number, &request, sizeof request);
  return number;
}

static int send_bytes(const void *data, size_t bytes, int to, int tag, int64_t *request) {
  MPI_Request r = MPI_REQUEST_NULL;
  int failure = MPI_Isend(data, (int)bytes, MPI_BYTE, to, tag, MPI_COMM_WORLD, &r);
  *request = packed(r);
  return failure;
}

static int receive_bytes(void *data, size_t bytes, int from, int tag, int64_t *request) {
  MPI_Request r = MPI_REQUEST_NULL;
  int failure = MPI_Irecv(data, (int)bytes, MPI_BYTE, from, tag, MPI_COMM_WORLD, &r);
  *request = packed(r);
  return failure;
}

static int test(int64_t *request, bool *done) {
  MPI_Request r;
  int complete = 0;
  memcpy(&r, request, sizeof r);
  int failure = MPI_Test(&r, &complete, MPI_STATUS_IGNORE);
  *request = packed(r);
  *done = complete;
  return failure;
}

static void explain(int failure, char *out, size_t size) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(failure, text, &length)) text[0] = 0;
  text[strcspn(text, "\n")] = 0; /* a stack of the library's own calls may follow */
  snprintf(out, size, "%s", text);
}

/* MPICH over UCX waits for ever in MPI_Finalize for a rank that has ended its own part of it and answers no
 * more, which a network of some milliseconds makes likely. Its launcher takes a process that exits with 0 for
 * one that is done. */
static void finish(int status) {
#ifdef MPICH
  _exit(status);
#else
  (void)status;
  MPI_Finalize();
#endif
}

const moire__transport *moire_team_transport(char *sentence, size_t size);

const moire__transport *moire_team_transport(char *sentence, size_t size) {
  static char library[MPI_MAX_LIBRARY_VERSION_STRING];
  static moire__transport transport = {.version = MOIRE__TRANSPORT_VERSION,
                                       .library = library,
                                       .send = send_bytes,
                                       .receive = receive_bytes,
                                       .test = test,
                                       .explain = explain,
                                       .close = finish};
  int given = 0, length = 0;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &given)) {
    snprintf(sentence, size, "MPI does not start");
    return NULL;
  }
  if (given < MPI_THREAD_SERIALIZED) {
    snprintf(sentence, size, "this MPI library cannot be called by several threads in turn, which is needed");
    return NULL;
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &transport.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &transport.size);
  MPI_Get_library_version(library, &length);
  library[strcspn(library, ",\n")] = 0;
#ifdef MPICH /* "MPICH Version:\t4.0.2" */
  snprintf(library, sizeof library, "MPICH " MPICH_VERSION);
#endif
  return &transport;
}
