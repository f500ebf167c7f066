/* Names of libraries: what may be one, and how the run time, which is written for a library named "library",
 * gets it.
 *
 * A name gives prefixes, NAME_ and in upper case too, that must go with every other name in sight. Names within
 * the run time give way; those of the C library cannot, so the header is tried together with its headers. */
#include "compiler/driver/ahead_command.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

moire_status moire__ahead_check_name(const char *name, moire_error *error) {
  bool good = name && isalpha((unsigned char)name[0]) && strlen(name) <= MOIRE__AHEAD_LONGEST_NAME;
  for (const char *c = name; good && *c; c++) good = isalnum((unsigned char)*c) || *c == '_';
  if (good && strcasecmp(name, "moire") != 0 && strncasecmp(name, "moire_", 6) != 0) return MOIRE_OK;
  if (good)
    return moire_fail(error, MOIRE_ERROR_ARGUMENT, "name \"%s\": moire_ is the prefix of Moire itself", name);
  return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                    "name \"%.80s\": wanted a C identifier that begins with a letter, of at most %d characters",
                    name ? name : "", MOIRE__AHEAD_LONGEST_NAME);
}

/* ---- Renaming --------------------------------------------------------------------------------------- */

static const char lower[] = "library_", upper[] = "LIBRARY_";
enum { PREFIX = sizeof lower - 1 };

static bool is_letter(char c) { return isalnum((unsigned char)c) || c == '_'; }

static size_t word_length(const char *text, size_t n) {
  size_t length = 0;
  while (length < n && is_letter(text[length])) length++;
  return length;
}

/* The library's prefix, in upper case as well. */
static size_t write_prefix(const moire__ahead *a, bool is_upper, char *out) {
  size_t n = strlen(a->options->name);
  for (size_t i = 0; i < n; i++) {
    char c = a->options->name[i];
    out[i] = is_upper ? (char)toupper((unsigned char)c) : c;
  }
  out[n] = '_';
  out[n + 1] = 0;
  return n + 1;
}

static bool has_word(const moire__ahead_source *source, const char *word, size_t n) {
  for (const char *at = source->text; at + n <= source->end; at++) {
    at = memchr(at, word[0], (size_t)(source->end - at));
    if (!at || at + n > source->end) return false;
    bool starts = at == source->text || !is_letter(at[-1]);
    if (starts && !memcmp(at, word, n) && !is_letter(at[n])) return true;
  }
  return false;
}

/* Whether the run time has the public name `prefix` + `rest`. */
static bool is_public(const char *prefix, const char *rest, size_t n) {
  char word[128];
  int length = snprintf(word, sizeof word, "%s%.*s", prefix, (int)n, rest);
  if (length >= (int)sizeof word) return false;
  for (int i = 0; i < moire__ahead_source_count; i++) {
    if (has_word(&moire__ahead_sources[i], word, (size_t)length)) return true;
  }
  return false;
}

/* Whether a word that is no public name would be mistaken for one under the library's name. */
static bool is_mistaken(const moire__ahead *a, const char *word, size_t n) {
  char prefix[MOIRE__AHEAD_LONGEST_NAME + 2];
  for (int is_upper = 0; is_upper < 2; is_upper++) {
    size_t length = write_prefix(a, is_upper, prefix);
    if (n > length && !memcmp(word, prefix, length) &&
        is_public(is_upper ? upper : lower, word + length, n - length))
      return true;
  }
  return false;
}

void moire__ahead_rename(const moire__ahead *a, const char *text, size_t n, moire__text *out) {
  char prefix[MOIRE__AHEAD_LONGEST_NAME + 2];
  for (size_t i = 0; i < n;) {
    const char *word = text + i;
    size_t length = word_length(word, n - i);
    bool is_lower = length >= PREFIX && !memcmp(word, lower, PREFIX);
    bool is_upper = length >= PREFIX && !memcmp(word, upper, PREFIX);
    if (is_lower || is_upper) {
      write_prefix(a, is_upper, prefix);
      moire__text_add(out, "%s%.*s", prefix, (int)(length - PREFIX), word + PREFIX);
    } else if (length) {
      moire__text_add(out, "%s%.*s", is_mistaken(a, word, length) ? "moire__own_" : "", (int)length, word);
    } else {
      moire__text_add_char(out, *word);
      length = 1;
    }
    i += length;
  }
}

/* ---- Trying ----------------------------------------------------------------------------------------- */

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
  for (int i = 0; i < 2; i++) length = write_prefix(a, i, prefix[i]);
  for (size_t i = 0; i < header->length;) {
    const char *word = header->data + i;
    size_t n = word_length(word, header->length - i);
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
