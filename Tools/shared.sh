# What the programs in Tools/ have in common. It is sourced, not run.
# shellcheck shell=bash

# What Keyfold is built against, and what it runs with.
build_packages=(
    libcurl4-openssl-dev libfuse3-dev libp11-kit-dev libsodium-dev libsqlite3-dev libssl-dev
    pkg-config)
run_packages=(fuse3)
# The ordinary programs that the quickstart and the tests work with in a mount, and a PKCS#11 token.
trial_packages=(rsync git sqlite3 attr acl softhsm2)

explain() { printf '%s\n' "$*"; }

fail() {
    printf '\n%s: %s\n' "${0##*/}" "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "root is needed for: $*" "run that as root, then start this again"
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those of the named Debian or Ubuntu packages that are not there yet.
install_packages() {
    if ! have apt-get; then
        explain "This is neither Debian nor Ubuntu, so nothing is installed. Needed are what these"
        explain "Debian packages hold: $*"
        return
    fi
    local package missing=()
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} = 0 ]; then
        explain "All packages are there: $*"
        return
    fi
    explain "Installing with apt: ${missing[*]}"
    as_root apt-get update -q=2 ||
        explain "apt-get update failed; trying with the package lists that are there."
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q=2 --no-install-recommends "${missing[@]}" >/dev/null ||
        fail "apt-get could not install: ${missing[*]}"
}

need_swift() {
    have swift || fail "there is no swift in PATH" \
        "Keyfold is built with Swift 6.3 or later: https://www.swift.org/install/linux/"
}

# FUSE needs the device; containers often lack it.
need_fuse() {
    [ -e /dev/fuse ] || fail "/dev/fuse is missing: nothing can be mounted here" \
        "on a host: modprobe fuse" \
        "in a container: start it with --device /dev/fuse --cap-add SYS_ADMIN"
    if ! (exec 3<>/dev/fuse) 2>/dev/null; then
        if [ "$(id -u)" = 0 ]; then
            fail "/dev/fuse can't be opened, though this is root" \
                "the container does not permit the device: start it with --device /dev/fuse"
        fi
        fail "/dev/fuse can't be opened by $(id -un)" \
            "as root: chmod 0666 /dev/fuse (udev's usual mode), then start this again"
    fi
}

# The mounts of keyfoldfs that this machine has now, one mount point a line.
keyfold_mounts() {
    awk '$3 == "fuse.keyfoldfs" { print $2 }' /proc/self/mounts
}

# Process ids of the keyfoldfs daemons that run now.
keyfold_daemons() {
    local comm pid
    for comm in /proc/[0-9]*/comm; do
        if [ "$(cat "$comm" 2>/dev/null)" = keyfoldfs ]; then
            pid=${comm#/proc/}
            echo "${pid%/comm}"
        fi
    done
}
