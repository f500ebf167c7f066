/* Texts with sections, of which a library gets those that it has something for: lines between those of a
 * comment that names the section, with a brace before the name,
 *
 *     / * { NAME * / ... / * } NAME * /        in C, without the blanks      # { NAME ... # } NAME        in
 * Python
 *
 * A name is that of a kind of library, or of interfaces and such kinds, with blanks between. Sections "fields
 * NAME" hold an example of what the interface writes in their place. */
#ifndef MOIRE_COMPILER_DRIVER_AHEAD_SECTIONS_H
#define MOIRE_COMPILER_DRIVER_AHEAD_SECTIONS_H

#include "compiler/driver/ahead/ahead.h"

typedef struct moire__ahead_sections {
  const char *opens, *closes; /* how lines begin, behind blanks: "/ * { " without the first one */
  size_t behind;              /* characters behind the name, with the end of the line */
  void *context;
  void (*take_line)(void *context, const char *line, size_t n);   /* with the end of the line */
  void (*take_fields)(void *context, const char *name, size_t n); /* "NAME" */
} moire__ahead_sections;

/* Hands over the lines of all sections that `a` has, and those outside of sections, in order. */
void moire__ahead_walk_sections(const moire__ahead *a, const moire__ahead_sections *how, const char *text,
                                const char *end);

/* A file of the run time, by its path; NULL if there is none. */
const moire__ahead_source *moire__ahead_find_source(const char *path);

#endif
