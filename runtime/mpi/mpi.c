/* The transport over MPI: a module of its own for each library (moire-openmpi.so, moire-mpich.so), since one is
 * not binary compatible with the other, and since the command starts where there is none. MPI moves bytes;
 * nothing is added up by it. */
#include "runtime/team/transport.h"

#include <mpi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

#ifdef MPICH
/* What MPI_Finalize says to MPICH's launcher, Hydra, by the line that it has given this process: that it will
 * end. */
static bool tell_hydra(void) {
  static const char done[] = "cmd=finalize\n", taken[] = "cmd=finalize_ack";
  const char *line = getenv("PMI_JOBID") ? NULL : getenv("PMI_FD");
  char answer[64] = "";
  if (!line) return false;
  struct pollfd file = {.fd = atoi(line), .events = POLLIN};
  if (write(file.fd, done, sizeof done - 1) != sizeof done - 1 || poll(&file, 1, 5000) != 1) return false;
  return read(file.fd, answer, sizeof answer - 1) > 0 && !strncmp(answer, taken, sizeof taken - 1);
}

/* Hydra has started all ranks on this machine. */
static bool is_all_here(void) {
  const char *here = getenv("MPI_LOCALNRANKS");
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return here && atoi(here) == size;
}

/* Over a network MPI_Finalize waits for ever for a rank that has ended its own part of it and answers no more,
 * which some milliseconds on the way make likely (UCX). All ranks have said that they are done. */
static void finish(int status) {
  if (!is_all_here() && tell_hydra()) _exit(status);
  MPI_Finalize();
}
#else
static void finish(int status) {
  (void)status;
  MPI_Finalize();
}
#endif

/* Signals that would end this process because another is gone: a write to its socket, and what MPICH's launcher
 * tells those that it is not to end (-disable-auto-cleanup). The team finds out by itself
 * (runtime/team/beats.h). */
static void ignore_signals(void) {
  const int numbers[] = {SIGPIPE, SIGUSR1};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct sigaction now;
    if (!sigaction(numbers[i], NULL, &now) && now.sa_handler == SIG_DFL) signal(numbers[i], SIG_IGN);
  }
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
  ignore_signals();
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
