#!/bin/bash
# The package of Debian: what it depends on are run-time packages alone, and what it holds runs where it is unpacked.
# shellcheck source=tests/support/tool.sh
source "$(dirname "$0")/../support/tool.sh"
[[ -z ${MOIRE_SANITIZE:-} ]] || skip 'a sanitizer build installs nothing'
for tool in cpack dpkg-deb dpkg-shlibdeps; do command -v $tool >/dev/null || skip "there is no $tool"; done
[[ -e $BUILD_DIR/libmoire.a && -d $BUILD_DIR/share ]] || skip 'only a part is built'

(cd "$BUILD_DIR" && cpack -G DEB -B "$work/out") >log.txt 2>&1 || complain "cpack: $(cat log.txt)"
deb=$(echo out/moire_*.deb)
version=$("$MOIRE" --version | sed -n '1s/^moire //p')
[[ $deb == out/moire_"$version"-1_"$(dpkg --print-architecture)".deb ]] || complain "the name $deb"
depends=$(dpkg-deb -f "$deb" Depends)
for package in libc6 libllvm19 libjansson4 libyaml-0-2 zlib1g; do
  grep -q "\<$package\>" <<<"$depends" || complain "it does not depend on $package: $depends"
done
grep -q -- '-dev\>' <<<"$depends" && complain "it depends on what builds need: $depends"
dpkg-deb -x "$deb" root || complain 'it cannot be unpacked'
[[ $(find root -mindepth 1 -maxdepth 1) == root/usr ]] || complain "it holds more than /usr: $(ls root)"
for file in include/moire/model.h lib/libmoire.so lib/pkgconfig/moire.pc share/man/man1/moire-train.1.gz \
  share/bash-completion/completions/moire share/zsh/vendor-completions/_moire share/doc/moire/README.md \
  share/doc/moire/CHANGES.md share/doc/moire/docs/language.md; do
  [[ -s root/usr/$file ]] || complain "there is no /usr/$file"
done
readelf -d root/usr/bin/moire root/usr/lib/libmoire.so | grep -i 'r.*path' && complain 'a path to libraries is recorded'
[[ $(root/usr/bin/moire --version) == "$("$MOIRE" --version)" ]] || complain 'another version'

# It is stripped, and still it compiles, trains and loads models that call it.
small_data data.txt
small_config config.yaml
root/usr/bin/moire train config.yaml --data data.txt --set epochs=1 --out run >/dev/null 2>log.txt ||
  complain "train: $(cat log.txt)"
root/usr/bin/moire graph "$BUILD_DIR/examples/echo.so" >graph.txt 2>log.txt || complain "a user's model: $(cat log.txt)"
grep -q filter graph.txt || complain "a user's model prints: $(head -n 3 graph.txt)"
finish
