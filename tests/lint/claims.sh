#!/bin/bash
# No promises in place of work, and no path of somebody's machine.
# shellcheck source=tests/support/lint.sh
source "$(dirname "$0")/../support/lint.sh"

mapfile -t files < <(lint_files '*.c' '*.h' '*.def' '*.sh' '*.md' '*.yaml' '*.txt' '*.json' '*.list' dev run)

# The words are written so that this file does not find itself.
promises='(^|[^A-Za-z])(TO''DO|FIX''ME|XX''X|HA''CK)([^A-Za-z]|$)'
paths='(^|[^A-Za-z0-9_.$})-])/(wo''rk|ro''ot|ho''me|tmp/br''ief)(/|[^A-Za-z0-9_]|$)'

complaints=0
if grep -nE -- "$promises" "${files[@]}"; then
  echo "promises: do it, or open an issue"
  complaints=1
fi
if grep -nE -- "$paths" "${files[@]}"; then
  echo "absolute paths: they hold on one machine only"
  complaints=1
fi
twins=$(lint_files '[0-9]*.md' | sed -n 's|^docs/decisions/\([0-9]*\)-.*|\1|p' | sort | uniq -d)
if [[ $twins ]]; then
  echo "decisions of one number: $twins"
  complaints=1
fi
exit "$complaints"
