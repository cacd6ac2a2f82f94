#!/bin/sh
# Installs the executable that lies beside this script as a CNI plugin, in place of any
# other version of it; or takes it away. Needs no more than a POSIX shell and mv -T.
#
#   /opt/cni/bin/userspace -> .userspace/VERSION/userspace
#
# Everything is inside the one directory that runtimes know, and the link is relative:
# it holds also where only that directory is mounted into a container, at any place.
# The link is replaced by rename(2), so every call finds the old version or the new one,
# whole; an old version goes when no process runs from it.
set -eu
umask 022

usage() {
    cat <<'HELP'
install.sh [--bin DIR] [--also-as NAME] [--take-over]
install.sh [--bin DIR] --uninstall

  --bin DIR        the runtime's directory of CNI plugins, /opt/cni/bin if not given
  --also-as NAME   make NAME a second name of the plugin, where no such file is
  --take-over      rename another program named `userspace` to `userspace.replaced`
  --uninstall      take away every version, and every name of it
HELP
}
die() {
    echo "install.sh: $*" >&2
    exit 1
}

is_link_to() { [ "$(readlink "$1" 2>/dev/null)" = "$2" ]; }
exists() { [ -e "$1" ] || [ -L "$1" ]; }
is_ours() { case $(readlink "$1" 2>/dev/null) in .userspace/*/userspace) true ;; *) false ;; esac }

# Whether a process runs from a version: one of our own process namespace, or any on this
# kernel (a program that runs cannot be opened for writing: ETXTBSY; nothing is written).
runs() {
    for process in /proc/[0-9]*; do
        [ "$process/exe" -ef "$1/userspace" ] && return 0
    done
    [ -e "$1/userspace" ] && ! (: >>"$1/userspace") 2>/dev/null
}

refuse_foreign() {
    if exists "$bin/userspace" && ! is_ours "$bin/userspace"; then
        [ -n "$take_over" ] || die "$bin/userspace is another program; --take-over renames it to userspace.replaced"
        [ ! -d "$bin/userspace" ] || die "$bin/userspace is a directory"
        ! exists "$bin/userspace.replaced" || die "$bin/userspace.replaced is already there"
    fi
    [ -n "$also" ] || return 0
    case $also in */* | .* | -* | userspace | userspace.replaced) die "--also-as: $also is no name for a plugin" ;; esac
    if exists "$bin/$also" && ! is_link_to "$bin/$also" userspace; then
        die "$bin/$also is another program: it stays as it is"
    fi
}

# Lay the version down under a name that nobody looks for, then give it its name.
lay_down() {
    if [ -e "$store/$version/VERSION" ]; then
        return
    fi
    rm -rf "$store/$version"
    new=$store/.new.$$
    trap 'rm -rf "$new"' EXIT
    cp -R "$here" "$new"
    CNI_COMMAND=VERSION "$new/userspace" </dev/null >/dev/null || die "the executable does not start on this system"
    sync -f "$new/VERSION" 2>/dev/null || sync # before a link leads here: a node may lose its power
    mv -T "$new" "$store/$version"
    trap - EXIT
}

lead_there() {
    if [ -n "$take_over" ] && exists "$bin/userspace" && ! is_ours "$bin/userspace"; then
        # a second name first, so that there is a plugin at every moment
        ln "$bin/userspace" "$bin/userspace.replaced"
    fi
    if ! is_link_to "$bin/userspace" ".userspace/$version/userspace"; then
        ln -s ".userspace/$version/userspace" "$store/.link.$$"
        mv -fT "$store/.link.$$" "$bin/userspace"
    fi
    if [ -n "$also" ] && ! is_link_to "$bin/$also" userspace; then
        ln -s userspace "$bin/$also"
    fi
}

# Take away every version but the one named. A call that found the old link a moment
# ago may be about to run it: it has a second to do so.
prune() {
    sleep 1
    for folder in "$store"/* "$store"/.new.* "$store"/.link.*; do
        name=${folder##*/}
        if [ "$name" = "$1" ] || ! exists "$folder"; then
            continue
        fi
        if [ -d "$folder" ] && runs "$folder"; then
            echo "still running, and left there until this script runs again: $folder"
        else
            rm -rf "$folder"
        fi
    done
}

one_at_a_time() {
    command -v flock >/dev/null 2>&1 || return 0
    exec 9>>"$store/.lock"
    flock 9
}

install() {
    [ -x "$here/userspace" ] && [ -r "$here/VERSION" ] || die "there is no executable beside $0"
    version=$(cat "$here/VERSION")
    mkdir -p "$store"
    one_at_a_time
    refuse_foreign
    lay_down
    lead_there
    echo "userspace $version: $bin/userspace${also:+ and $bin/$also}"
    prune "$version"
}

uninstall() {
    [ -d "$store" ] || die "nothing is installed in $bin"
    one_at_a_time
    for name in "$bin"/*; do
        if is_link_to "$name" userspace && is_ours "$bin/userspace"; then rm -f "$name"; fi
    done
    if is_ours "$bin/userspace"; then rm -f "$bin/userspace"; fi
    prune ''
    rm -f "$store/.lock"
    rmdir "$store" 2>/dev/null || true
}

main() {
    bin=/opt/cni/bin also='' take_over='' action=install
    while [ $# -gt 0 ]; do
        case $1 in
        --bin | --also-as)
            [ $# -gt 1 ] || die "$1 wants an argument"
            if [ "$1" = --bin ]; then bin=$2; else also=$2; fi
            shift
            ;;
        --take-over) take_over=yes ;;
        --uninstall) action=uninstall ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) usage >&2 && exit 2 ;;
        esac
        shift
    done
    here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
    store=$bin/.userspace
    "$action"
}

# One line, read before it runs: uninstalling removes this very file.
main "$@"
