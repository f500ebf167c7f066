/* Trying a library's header together with those of the C library: its names may have a meaning there, as R_OK
 * has, or mq_close. */
#include "compiler/driver/ahead/command.h"

#include <string.h>

static const char *const headers[] = {
    "aio.h",          "arpa/inet.h",  "assert.h",     "complex.h",   "ctype.h",     "dirent.h",
    "dlfcn.h",        "endian.h",     "errno.h",      "fcntl.h",     "fenv.h",      "float.h",
    "fnmatch.h",      "ftw.h",        "glob.h",       "grp.h",       "iconv.h",     "inttypes.h",
    "langinfo.h",     "limits.h",     "locale.h",     "math.h",      "mqueue.h",    "netdb.h",
    "netinet/in.h",   "poll.h",       "pthread.h",    "pwd.h",       "regex.h",     "sched.h",
    "search.h",       "semaphore.h",  "setjmp.h",     "signal.h",    "spawn.h",     "stdalign.h",
    "stdarg.h",       "stdatomic.h",  "stdbool.h",    "stddef.h",    "stdint.h",    "stdio.h",
    "stdlib.h",       "string.h",     "strings.h",    "sys/epoll.h", "sys/ioctl.h", "sys/mman.h",
    "sys/resource.h", "sys/select.h", "sys/socket.h", "sys/stat.h",  "sys/time.h",  "sys/types.h",
    "sys/uio.h",      "sys/un.h",     "sys/wait.h",   "syslog.h",    "termios.h",   "threads.h",
    "time.h",         "uchar.h",      "unistd.h",     "wchar.h",     "wctype.h",    "wordexp.h"};

/* "#error" for each public word of the library's header that is a macro already. */
static void add_macro_checks(const moire__ahead *a, const moire__text *header, moire__text *out) {
  char prefix[2][MOIRE__AHEAD_LONGEST_NAME + 2];
  size_t length = 0;
  for (int i = 0; i < 2; i++) length = moire__ahead_prefix(a, i, prefix[i]);
  for (size_t i = 0; i < header->length;) {
    const char *word = header->data + i;
    size_t n = moire__ahead_word(word, header->length - i);
    if (n > length && (!memcmp(word, prefix[0], length) || !memcmp(word, prefix[1], length)))
      moire__text_add(out, "#ifdef %.*s\n#error %.*s is a macro of the C library\n#endif\n", (int)n, word,
                      (int)n, word);
    i += n + !n;
  }
}

static moire_status try_text(const moire__ahead *a, const moire__ahead_folder *folder, const moire__text *text,
                             moire_error *error) {
  moire__ahead_command c = {0};
  moire_status status = moire__ahead_folder_write(folder, "probe.c", text->data, text->length, error);
  moire__ahead_add_words(&c, a->options->cc);
  moire__ahead_add_words(&c, "-std=gnu11 -w -D_GNU_SOURCE -fsyntax-only probe.c");
  if (!status) return moire__ahead_run_command(&c, folder, error);
  moire__arena_free(&c.arena);
  return status;
}

/* What the compiler says about the first error: behind "error: ", up to the next line or note. */
static const char *first_error(char *log) {
  char *found = strstr(log, "error: "), *end = NULL;
  if (!found) return log;
  found += strlen("error: ");
  if (!strncmp(found, "#error ", 7)) found += 7;
  end = strstr(found, "  ");
  char *next = strstr(found, " probe.c:");
  if (!end || (next && next < end)) end = next;
  if (end) *end = 0;
  return found;
}

moire_status moire__ahead_try_header(const moire__ahead *a, const moire__ahead_folder *folder,
                                     moire_error *error) {
  moire__text system = {0}, all = {0}, header = {0};
  moire_error cause = {0}, other = {0};
  char log[4096];
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    moire__text_add(&system, "#if __has_include(<%s>)\n#include <%s>\n#endif\n", headers[i], headers[i]);
  moire__ahead_write_header(a, &header);
  moire__text_add(&all, "%s", moire__text_string(&system));
  add_macro_checks(a, &header, &all);
  moire__text_add(&all, "#include \"%s.h\"\n", a->options->name);
  moire_status status = try_text(a, folder, &all, &cause);
  if (status) moire__ahead_read_log(folder, log, sizeof log);
  if (status && try_text(a, folder, &system, &other)) /* the compiler is to blame */
    moire_fail(error, status, "%s", cause.message);
  else if (status)
    status = moire_fail(error, MOIRE_ERROR_ARGUMENT,
                        "name \"%s\": a name of its header has another meaning in the C library: %s",
                        a->options->name, first_error(log));
  moire__text_free(&system);
  moire__text_free(&all);
  moire__text_free(&header);
  return status;
}
