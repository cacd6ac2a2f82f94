#!/bin/bash
# Makes a bare Debian root the place where the executable is built: CPython from the
# newer Debian's source package, compiled here, against this root's old glibc.
# Runs inside the root, with /etc/apt/sources.list in place; see tools/build.sh.
set -eu
series=$1 # 3.11
suite=$2  # of the source package
here=$(dirname "$0")
sources=/usr/src
export DEBIAN_FRONTEND=noninteractive

packages=(build-essential libexpat1-dev libffi-dev libssl-dev locales pkg-config zlib1g-dev)
prepare() { apt-get -q update && apt-get -q -y --no-install-recommends install "${packages[@]}"; }
if ! prepare; then
    # A mirror may list security updates that it does not have, for the rarer architectures.
    sed -i '/-security /d' /etc/apt/sources.list
    prepare
    echo 'without security updates, which the mirror did not have' >/etc/built-without
fi

cd "$sources"
apt-get -q source --only-source "python$series" || apt-get -q source --only-source "python$series/$suite"
mv "python$series"-*/ python
cd python

# The date that CPython tells of itself; Debian's flags that harden a program for root.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp)
export SOURCE_DATE_EPOCH
version=$(dpkg-parsechangelog -S Version)
mkdir build
cd build
../configure --prefix=/usr/local --enable-shared --with-system-expat --without-ensurepip \
    --disable-test-modules --without-doc-strings \
    OPT='-DNDEBUG -fwrapv -O2 -Wall' \
    CFLAGS='-fno-semantic-interposition -fstack-protector-strong -D_FORTIFY_SOURCE=2' \
    LDFLAGS='-Wl,-Bsymbolic-functions -Wl,-z,relro'
cp "$here/Setup.local" Modules/Setup.local
make -j"$(nproc)"
make install
ldconfig
cd /

# What the executable is made of, for whoever asks whether a fix is in it.
{
    printf 'python%s %s (source package, Debian %s)\n' "$series" "$version" "$suite"
    # shellcheck disable=SC2016  dpkg's own variables
    dpkg-query -W -f '${Package} ${Version}\n' libc6 libffi7 libgcc-s1 libssl1.1 zlib1g
    cat /etc/built-without 2>/dev/null || true
} >/etc/built-of

# The source and its objects stay, at /usr/src/python and its build/: they serve
# whoever links CPython into a program of his own (libpython3.11.a, Programs/_freeze_module).
rm -rf "$sources"/*.tar.* "$sources"/*.dsc /var/lib/apt/lists/* /usr/local/lib/python*/test
apt-get clean
