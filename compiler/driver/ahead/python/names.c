/* What is no name of a module, or of an argument, in Python. */
#include "compiler/driver/ahead/python/module.h"

#include <stdio.h>
#include <string.h>

static bool is_in(const char *words, const char *word) {
  char padded[MOIRE__AHEAD_LONGEST_NAME + 3];
  if (strlen(word) > MOIRE__AHEAD_LONGEST_NAME) return false;
  snprintf(padded, sizeof padded, " %s ", word);
  return strstr(words, padded) != NULL;
}

bool moire__ahead_is_word_of_python(const char *word) {
  static const char words[] =
      " False None True and as assert async await break class continue def del elif else except finally for "
      "from "
      "global if import in is lambda nonlocal not or pass raise return try while with yield ";
  return is_in(words, word);
}

/* Modules of every Python, which NAME would stand before or behind. */
static bool is_module_of_python(const char *name) {
  static const char modules[] =
      " abc aifc annotationlib antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 "
      "bdb "
      "binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections "
      "colorsys compileall compression concurrent configparser contextlib contextvars copy copyreg crypt csv "
      "ctypes "
      "curses dataclasses datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum "
      "errno "
      "faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass "
      "gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib "
      "inspect io "
      "ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math "
      "mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path "
      "numbers "
      "numpy opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pip pipes pkg_resources "
      "pkgutil "
      "platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc "
      "pydoc_data "
      "pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select "
      "selectors "
      "setuptools shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 "
      "sre_compile "
      "sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symtable sys "
      "sysconfig "
      "syslog tabnanny tarfile telnetlib tempfile termios test textwrap this threading time timeit tkinter "
      "token "
      "tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest "
      "urllib "
      "uu uuid venv warnings wave weakref webbrowser wheel winreg winsound wsgiref xdrlib xml xmlrpc zipapp "
      "zipfile "
      "zipimport zlib zoneinfo ";
  return is_in(modules, name);
}

moire_status moire__ahead_check_python_name(const char *name, moire_error *error) {
  if (moire__ahead_is_word_of_python(name))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "name \"%s\": is a keyword of Python, so that no module can be imported by it", name);
  if (is_module_of_python(name))
    return moire_fail(error, MOIRE_ERROR_ARGUMENT,
                      "name \"%s\": is the name of a module that comes with Python: each would hide the other",
                      name);
  return MOIRE_OK;
}
