# What ./dev needs, brought into place by itself. Sourced by ./dev.
#
# Every function is quick when its thing is there. What cannot be had is noted
# and done without; only Python itself is a must.

PACKAGES=(openvswitch-switch-dpdk dpdk-dev iproute2 containernetworking-plugins podman runc strace util-linux etcd-server openssl)
GUEST_PACKAGES=(linux-image-amd64 kmod udev busybox-static)
PAGES=320 # two DPDK switches at once; more are taken where a test needs them
PYTHON=.venv/bin/python
APT_READY=''

is_root() { [ "$(id -u)" = 0 ]; }
has() { command -v "$1" >/dev/null 2>&1; }

# --- Debian packages ---------------------------------------------------------

missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
    done
}

# Installing openvswitch-switch would start the machine's own switch. Debian asks
# policy-rc.d first; where the machine has none, ours says no while apt runs.
POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='# ./dev of cni_userspace: no service starts while it installs packages'
guard_services() {
    if [ -e "$POLICY" ]; then
        return
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY"
    chmod 755 "$POLICY"
}
unguard_services() {
    if grep -qsF "$POLICY_MARK" "$POLICY"; then rm -f "$POLICY"; fi
}

apt() { env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@"; }
apt_install() { apt install --no-install-recommends "$@"; }

# debian PACKAGE...: install what is missing; return 1 where something stays missing.
debian() {
    local missing package status=0
    if ! has dpkg-query || ! has apt-get; then
        note "no apt-get here: install what these Debian packages hold yourself: $*"
        return 1
    fi
    read -ra missing <<<"$(missing_packages "$@")"
    if [ ${#missing[@]} = 0 ]; then
        there "Debian packages: $*"
        return
    fi
    if ! is_root; then
        note "not root: cannot install ${missing[*]} (sudo apt-get install ${missing[*]})"
        return 1
    fi
    guard_services
    if [ -z "$APT_READY" ]; then
        step "package lists (apt-get update)" apt update || say "going on with the package lists that are there"
        APT_READY=yes
    fi
    if ! step "Debian packages: ${missing[*]}" apt_install "${missing[@]}"; then
        for package in "${missing[@]}"; do
            step "again, alone: $package" apt_install "$package" && continue
            note "$package cannot be installed: what needs it is left out"
            status=1
        done
    fi
    unguard_services
    return "$status"
}

# --- Python ------------------------------------------------------------------

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    rm -rf .venv
    "$1" -m venv .venv
}

setup_python() {
    local python stamp=.venv/.made-of content
    if ! python=$(find_python); then
        is_root && has apt-get && debian python3 python3-venv
        python=$(find_python) || die "Python 3.11 or later is needed, and is not here (Debian 12: apt-get install python3 python3-venv)"
    fi
    content="$PWD $(sha256sum pyproject.toml)"
    if [ -x "$PYTHON" ] && "$PYTHON" -c '' 2>/dev/null && [ "$(cat "$stamp" 2>/dev/null)" = "$content" ]; then
        there "virtual environment .venv ($("$PYTHON" -V))"
        return
    fi
    if ! { [ -x "$PYTHON" ] && "$PYTHON" -m pip --version >/dev/null 2>&1; }; then
        if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            debian python3-venv || die "$python has no venv module (Debian: apt-get install python3-venv)"
        fi
        step "virtual environment .venv ($("$python" -V))" make_venv "$python" || die "no virtual environment"
    fi
    # "compat": a plain line in a .pth file. The default is an import hook that
    # costs every start of the plugin 20 ms, which no installed plugin pays.
    step "the plugin and its tools, into .venv" "$PYTHON" -m pip install --quiet \
        --config-settings editable_mode=compat --editable '.[dev]' || die "the Python packages cannot be installed"
    printf '%s\n' "$content" >"$stamp"
}

# --- the rigs ----------------------------------------------------------------

setup_rigs() {
    local complete=0
    debian "${PACKAGES[@]}" || complete=1
    take_hugepages || complete=1
    return "$complete"
}

take_hugepages() {
    if ! step "hugepages: $PAGES of 2 MiB free" "$PYTHON" -m tests.support.hugepages take $$ "$PAGES"; then
        note "not enough hugepages: no DPDK switch can start here"
        return 1
    fi
    HUGEPAGES_TAKEN=yes
}
give_hugepages_back() {
    if [ -n "${HUGEPAGES_TAKEN-}" ]; then "$PYTHON" -m tests.support.hugepages give-back $$; fi
    HUGEPAGES_TAKEN=''
}

# The guest with SR-IOV: a stock kernel, and a QEMU that has the igb. Debian 12
# has that in its backports, which are used here once and not left enabled.
setup_guest() {
    local complete=0
    debian "${GUEST_PACKAGES[@]}" || complete=1
    if has_igb; then
        there "QEMU with an igb"
    elif candidate_has_igb; then
        debian qemu-system-x86 || complete=1
    elif ! is_root || ! step "QEMU with an igb, from the backports" qemu_from_backports || ! has_igb; then
        note "no QEMU 8 or later: what needs an SR-IOV device is left out"
        complete=1
    fi
    return "$complete"
}
has_igb() { has qemu-system-x86_64 && qemu-system-x86_64 -device help 2>/dev/null | grep -q '"igb"'; }
candidate_has_igb() {
    local version
    has dpkg-query && version=$(apt-cache policy qemu-system-x86 2>/dev/null | sed -n 's/^ *Candidate: *//p')
    [ -n "${version-}" ] && dpkg --compare-versions "$version" ge 1:8
}
qemu_from_backports() {
    local apt=$PWD/.cache/apt suite options status=0
    suite=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")-backports
    options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt/sources"
        -o "Dir::State::lists=$apt/lists" -o APT::Sandbox::User=root)
    mkdir -p "$apt/lists/partial"
    "$PYTHON" -m tests.support.guest.backports "$apt/sources" || return 1
    guard_services
    apt "${options[@]}" update && apt_install "${options[@]}" -t "$suite" qemu-system-x86 || status=1
    unguard_services
    rm -rf "$apt"
    return "$status"
}

# The Go programs are built in the background while the fast tests run. The build
# of Kubernetes goes on after these: it takes minutes, and its own tests wait for it.
GO_PID=''
KUBERNETES_PID=''
start_kubernetes() {
    nice "$PYTHON" -m tests.support.gotools clients kubernetes >"$LOGS/kubernetes.log" 2>&1 </dev/null &
    KUBERNETES_PID=$!
}
start_go_tools() {
    if "$PYTHON" -c 'import os, sys; from tests.support import gotools; sys.exit(not os.path.isdir(gotools.directory()))'; then
        there "Go programs: cnitool, Multus, reference plugins"
        return
    fi
    line "Go programs: cnitool, Multus, reference plugins" "building in the background"
    nice "$PYTHON" -m tests.support.gotools clients >"$LOGS/gotools.log" 2>&1 </dev/null 9>&- &
    GO_PID=$!
}
await_go_tools() {
    [ -n "$GO_PID" ] || return 0
    local status=0 start=$SECONDS label="Go programs: waiting for their build"
    [ -t 1 ] || printf '  %-66s ' "$label"
    while [ -t 1 ] && kill -0 "$GO_PID" 2>/dev/null; do
        printf '\r  %-66s %s s' "$label" "$((SECONDS - start))"
        sleep 0.2
    done
    wait "$GO_PID" || status=$?
    GO_PID=''
    [ -t 1 ] && printf '\r  %-66s ' "$label"
    printf '%s s\n' "$((SECONDS - start))"
    if [ "$status" -ne 0 ]; then
        tail -n 5 "$LOGS/gotools.log" | sed 's/^/    | /'
        note "the Go programs cannot be built (all of it: $LOGS/gotools.log): what needs cnitool or Multus is left out"
        return 1
    fi
}
