# The executable for nodes without Python. Sourced by ./dev.
#
# A program needs at least the glibc that it was built with, so this one is built in
# a root of an old Debian, made here with debootstrap; CPython is compiled in it.
# Where no such root can be made (not root, no mirror of that Debian), it is built with
# this machine's Python, and says which glibc it then needs.

BUILT=dist/userspace/userspace
BUILD_SUITE=bullseye  # Debian 11: glibc 2.31. RHEL 9 has 2.34, Ubuntu 20.04 2.31
PYTHON_SUITE=bookworm # Debian 12: the source package of CPython 3.11
PYTHON_SERIES=3.11

# The architectures by Debian's names, which are Go's, and so those of CNI's releases.
own_arch() { case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac }
platform() { case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; *) echo "$1" ;; esac }

# --- the root ------------------------------------------------------------------

# The machine's own mirrors, from its apt sources: "archive security".
mirrors() {
    # shellcheck disable=SC2016  apt's own variables
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "main" { if ($3 ~ /-security$/) s = $4; else if ($3 !~ /-/) m = $4 }
             END { print m, s }'
}

root_key() {
    { cat tools/executable/root.sh tools/executable/Setup.local && echo "$BUILD_SUITE $PYTHON_SUITE $PYTHON_SERIES $1"; } |
        sha256sum | cut -c1-16
}
pins_key() { sha256sum tools/executable/requirements.txt | cut -c1-16; }

# enter_root ROOT COMMAND...: in namespaces of its own, so that no mount outlives it.
# The project is at /project, read-only, and the place for results at /out.
enter_root() {
    local root=$1
    shift
    mkdir -p "$root/project" "$root/out" dist
    # shellcheck disable=SC2016  the inner shell's own variables
    unshare --mount --propagation private --pid --fork --kill-child sh -euc '
        root=$1 && shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind . "$root/project"
        mount -o remount,bind,ro "$root/project"
        mount --bind dist "$root/out"
        exec chroot "$root" /usr/bin/env -i LC_ALL=C.UTF-8 HOME=/root PYTHONDONTWRITEBYTECODE=1 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
    ' sh "$root" "$@"
}

bare_root() {
    local root=$1 arch=$2 archive=$3 security=$4
    debootstrap --arch="$arch" --variant=minbase --include=ca-certificates "$BUILD_SUITE" "$root" "$archive" || return 1
    {
        echo "deb $archive $BUILD_SUITE main"
        echo "deb-src $archive $PYTHON_SUITE main"
        if [ -n "$security" ]; then
            echo "deb $security $BUILD_SUITE-security main"
            echo "deb-src $security $PYTHON_SUITE-security main"
        fi
    } >"$root/etc/apt/sources.list"
    apt-config dump 2>/dev/null | grep -E '^Acquire::https?::Proxy' >"$root/etc/apt/apt.conf.d/proxy"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
}

python_root() {
    mkdir -p "$1/build" && cp tools/executable/root.sh tools/executable/Setup.local "$1/build/" &&
        enter_root "$1" bash /build/root.sh "$PYTHON_SERIES" "$PYTHON_SUITE"
}

# The packages are fetched out here, where pip is set up, and installed in there without a network.
fetch_packages() {
    local root=$1 platform
    platform=$(platform "$2")
    rm -rf "$root/wheels"
    "$PYTHON" -m pip download --quiet --dest "$root/wheels" --no-deps --require-hashes -r tools/executable/requirements.txt \
        --python-version "$PYTHON_SERIES" --implementation cp --abi "cp${PYTHON_SERIES/./}" --abi abi3 --abi none \
        --platform "manylinux2014_$platform" --platform "manylinux_2_17_$platform" --platform "manylinux_2_28_$platform"
}
install_packages() {
    fetch_packages "$1" "$2" && rm -rf "$1/venv" &&
        enter_root "$1" bash -euc "
            python$PYTHON_SERIES -m venv --without-pip /venv
            pip() { /venv/bin/python \$(echo /wheels/pip-*.whl)/pip install --quiet --no-index --find-links /wheels --no-deps \"\$@\"; }
            pip /wheels/setuptools-*.whl # which ovs is made with
            pip --no-build-isolation --use-pep517 --require-hashes -r /project/tools/executable/requirements.txt
        "
}

# Make the root of this architecture where it is not there; its path is in ROOT then.
make_root() {
    local arch=$1 archive security making
    ROOT=$PWD/.cache/build-$arch-$(root_key "$arch")
    if [ ! -e "$ROOT/etc/built-of" ]; then
        debian debootstrap || return 1
        read -r archive security <<<"$(mirrors)"
        if [ -z "$archive" ] && step "package lists (apt-get update)" apt update; then
            read -r archive security <<<"$(mirrors)"
        fi
        if [ -z "$archive" ]; then
            say "apt knows no Debian archive here to take $BUILD_SUITE from"
            return 1
        fi
        making=$PWD/.cache/build-$arch.new
        rm -rf --one-file-system "$making"
        step "a root of Debian $BUILD_SUITE for $arch (debootstrap)" bare_root "$making" "$arch" "$archive" "$security" &&
            step "CPython $PYTHON_SERIES, compiled in it" python_root "$making" || return 1
        rm -rf --one-file-system .cache/build-"$arch"-*
        mv "$making" "$ROOT"
    else
        there "a root of Debian $BUILD_SUITE for $arch, with CPython $PYTHON_SERIES"
    fi
    if [ "$(cat "$ROOT/venv/pins" 2>/dev/null)" != "$(pins_key)" ]; then
        step "PyInstaller and the plugin's packages, in it" install_packages "$ROOT" "$arch" || return 1
        pins_key >"$ROOT/venv/pins"
    fi
}

# The root is made in the background while other things run, in a process group of its own.
ROOT_PID=''
start_root() {
    local arch
    arch=$(own_arch)
    if ! is_root || [ -e ".cache/build-$arch-$(root_key "$arch")/etc/built-of" ]; then
        return
    fi
    line "a root of Debian $BUILD_SUITE, for the executable" "making it in the background"
    set -m
    (
        flock 8
        make_root "$arch"
    ) >"$LOGS/root.log" 2>&1 </dev/null 8>".cache/build-$arch.lock" &
    ROOT_PID=$!
    set +m
    renice -n 10 -g "$ROOT_PID" >/dev/null 2>&1 || true
}
end_root() {
    if [ -n "$ROOT_PID" ]; then kill -- "-$ROOT_PID" 2>/dev/null; fi
    ROOT_PID=''
}

# --- the executable --------------------------------------------------------------

# What an executable depends on, and where: whatever else changes, it need not be built again.
build_content() {
    {
        echo "$1"
        find build.spec pyproject.toml LICENSE install/install.sh tools/executable tools/freeze tools/build.sh \
            cni_userspace -type f \
            ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum
}

# build [ARCH]: for another architecture only where this machine can run its programs (qemu-user).
build() {
    local arch=${1-$(own_arch)} kind=root place=dist content
    [ "$arch" = "$(own_arch)" ] || place=dist/$arch
    mkdir -p .cache "$place"
    exec 8>".cache/build-$arch.lock"
    flock -n 8 || { say "its root is being made: waiting for it" && flock 8; }
    [ -z "$ROOT_PID" ] || wait "$ROOT_PID"
    ROOT_PID=''
    if ! is_root; then
        note "not root, so no root of Debian $BUILD_SUITE: the executable needs what this machine has"
        kind=native
    elif ! make_root "$arch"; then
        note "no root of Debian $BUILD_SUITE can be made here: the executable needs what this machine has"
        kind=native
    fi
    if [ "$kind" = native ] && [ "$arch" != "$(own_arch)" ]; then
        note "an executable for $arch cannot be built here"
        return 1
    fi
    content=$(build_content "$kind $arch")
    if [ "$(cat "$place/.made-of" 2>/dev/null)" = "$content" ]; then
        there "$place/userspace/"
    else
        rm -f "$place/.made-of"
        step "$place/userspace/ and its archive (PyInstaller)" "build_$kind" "$arch" "$place" || return 1
        printf '%s\n' "$content" >"$place/.made-of"
    fi
    exec 8>&-
    (cd "$place" && line "  $(echo userspace-*.tar.gz)" "$(du -sm userspace | cut -f1) MB unpacked; $(tail -n 1 userspace/BUILT-OF)")
}

build_root() { enter_root "$ROOT" bash /project/tools/executable/executable.sh /venv/bin/python /project "/out${2#dist}" "$1"; }
build_native() {
    local tools=(binutils)
    # PyInstaller reads libraries with objdump, and packs libpython, which Debian keeps apart.
    if has dpkg-query && [ "$("$PYTHON" -c 'import sys; print(sys.base_prefix)')" = /usr ]; then
        tools+=("libpython$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')")
    fi
    if ! has objdump || [ ${#tools[@]} -gt 1 ]; then debian "${tools[@]}" || return 1; fi
    bash tools/executable/executable.sh "$PWD/$PYTHON" "$PWD" "$PWD/$2" "$1"
}
