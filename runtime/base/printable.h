/* Text that came from a file and goes to a terminal. */
#ifndef MOIRE_RUNTIME_BASE_PRINTABLE_H
#define MOIRE_RUNTIME_BASE_PRINTABLE_H

/* Replaces what a terminal would obey by '?': control characters but for the ends of lines and tabs, and those
 * of C1 in UTF-8. All messages of moire_fail have been through it; what is printed otherwise goes through it
 * first. */
void moire__make_printable(char *text);

#endif
