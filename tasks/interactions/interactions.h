/* Who consumed what: files of interactions, in the forms that people have them.
 *
 *   users         one user a line, `user item item ...`, oldest first, by blanks, tabs or commas
 *   interactions  one a line, `user item [rating] [time]`, by tabs, commas, "::" or blanks, with or without a
 * header that names the columns (RecBole's user_id:token, MovieLens' userId, and the like): sorted by time
 * where there is one; equal times, and files without, keep the order of the file
 *
 * Both may be compressed by gzip and come through a pipe. Lines may end in CR LF, and blank lines are skipped.
 *
 * Users are numbered in the order in which they first come. Items are numbers from 1 on: the file's own where
 * these are whole numbers that are dense (the largest at most 65,536 or 16 times as many as there are); else
 * they are numbered in the order in which they first come, and `items.names` keeps what the file calls them. In
 * the users form the first item says whether items are numbers, and all that follow must be what it is; 0 is
 * refused there, since it is padding. Whoever has trained a model keeps the numbering by
 * moire__interactions_map and reads other files by it.
 */
#ifndef MOIRE_TASKS_INTERACTIONS_INTERACTIONS_H
#define MOIRE_TASKS_INTERACTIONS_INTERACTIONS_H

#include "moire/status.h"
#include "tasks/interactions/form.h"
#include "tasks/interactions/id_names.h"

#include <stdbool.h>

typedef struct moire__interactions_options {
  const char *format; /* "auto", "users" or "interactions"; NULL: auto */
  bool known;         /* items are those of a model: those of `map`, or else the file's numbers */
  const char *map;    /* the names of a model's items, one a line; NULL: they have none */
  int64_t item_size;  /* the model's items are below; 0: as many as there are */
  int64_t fewest;    /* interactions of a user, at least 1: fewer are refused in the users form, left out in the
                        other */
  int most_rating;   /* ratings are whole numbers from 1 to this; 0: any numbers */
  bool skip_unknown; /* leave out interactions with items that `map` does not know; else they are refused */
} moire__interactions_options;

/* Read-only; owns everything; free with moire__interactions_free. */
typedef struct moire__interactions {
  int64_t n_users, n;
  int64_t *first;        /* [n_users + 1] */
  int32_t *items;        /* [n], user after user */
  float *ratings;        /* [n], or NULL */
  double *times;         /* [n], or NULL */
  int64_t item_size;     /* largest item + 1 */
  moire__id_names users; /* [n_users] what the file calls them */
  moire__id_names names; /* of items: item i is number i - 1; none where items are the file's numbers */
  moire__form form;
  int64_t skipped_users,
      skipped; /* left out: users with too few interactions; interactions with unknown items */
} moire__interactions;

/* Reads a file, a pipe or /dev/stdin. Errors name file and line. */
moire_status moire__interactions_read(const char *path, const moire__interactions_options *options,
                                      moire__interactions *out, moire_error *error);
/* The same from bytes; `path` only names them in messages. */
moire_status moire__interactions_parse(const char *path, const char *bytes, size_t n,
                                       const moire__interactions_options *options, moire__interactions *out,
                                       moire_error *error);
void moire__interactions_free(moire__interactions *interactions);

/* The names of items, one a line, for a checkpoint: owned (moire__release); NULL where items are numbers. */
char *moire__interactions_map(const moire__id_names *names);

#endif
