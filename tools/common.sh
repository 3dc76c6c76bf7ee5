# shellcheck shell=bash
# What the scripts of this folder share; sourced, never run. Messages go to stderr: stdout carries results.

holdfast_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
holdfast_lock=$holdfast_root/tools/dependencies.lock
# shellcheck disable=SC2034  # the scripts that source this use it
holdfast_cache=${HOLDFAST_CACHE:-${HOME:?neither HOLDFAST_CACHE nor HOME is set}/.cache/holdfast}

say() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

# fail MESSAGE: one line, then exit 1. usage_error MESSAGE: exit 2.
fail() {
    say "$*"
    exit 1
}
usage_error() {
    say "$* (--help tells the usage)"
    exit 2
}

# Prints the comment at the head of the running script: that comment is its help.
show_help() {
    awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"
    exit 0
}

# lock_lines KIND: the lines of the lock file of that kind, without the kind.
lock_lines() {
    awk -v kind="$1" '$1 == kind { $1 = ""; print substr($0, 2) }' "$holdfast_lock"
}

torch_version() {
    lock_lines torch
}

# The first release of NVIDIA's driver that runs CUDA 13.
readonly driver_release_min=580

# driver_release: the release of the NVIDIA driver of this machine ("580"), nothing without one. Under WSL 2 the
# driver is the host's and only nvidia-smi knows it.
driver_release() {
    local version=""
    if [[ -r /proc/driver/nvidia/version ]]; then
        version=$(grep -oE 'Kernel Module( for [^ ]+)? +[0-9]+\.' /proc/driver/nvidia/version | grep -oE '[0-9]+\.$' || true)
    elif [[ -e /dev/dxg ]] && command -v nvidia-smi >/dev/null; then
        version=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1 || true)
    fi
    printf '%s' "${version%%.*}"
}

# default_flavour: cuda where a driver is that can run it, else cpu; says why where a GPU goes unused.
default_flavour() {
    local release
    release=$(driver_release)
    if [[ -z $release ]]; then
        echo cpu
    elif ((release >= driver_release_min)); then
        echo cuda
    else
        say "the NVIDIA driver is release $release and CUDA 13 needs $driver_release_min or newer:" \
            "taking the CPU flavour (update the driver, or choose with --flavour)"
        echo cpu
    fi
}

check_flavour() {
    [[ $1 == cpu || $1 == cuda ]] || usage_error "the flavour is '$1'; it must be cpu or cuda"
}

# may_be_root: whether a command can be run as root without asking a person. as_root COMMAND...: runs it.
may_be_root() {
    [[ $(id -u) -eq 0 ]] || sudo -n true 2>/dev/null
}
as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# missing_packages NAME...: those of the distribution packages that are not installed, a name a line.
missing_packages() {
    local present package
    present=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | awk '$1 == "ii" { print $2 }' || true)
    for package in "$@"; do
        grep -qxF "$package" <<<"$present" || echo "$package"
    done
}

# install_packages NAME...: whether apt-get could install them; as root.
install_packages() {
    say "installing distribution packages: $*"
    as_root apt-get update -q >&2 || say "the package lists could not be refreshed; trying with those at hand"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
}

# need_packages NAME...: installs those distribution packages that are missing where it may, else prints the one
# command that would and ends. HOLDFAST_SKIP_PACKAGES=1 leaves the machine as it is: for machines without a network,
# or with the libraries elsewhere (CMAKE_PREFIX_PATH).
need_packages() {
    [[ ${HOLDFAST_SKIP_PACKAGES:-0} != 1 ]] || return 0
    command -v dpkg-query >/dev/null || fail "this is neither Debian nor Ubuntu: install the equivalents of '$*'," \
        "then set HOLDFAST_SKIP_PACKAGES=1"
    local missing
    readarray -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if ! may_be_root; then
        say "distribution packages are missing; this command installs them:"
        echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    install_packages "${missing[@]}" || fail "apt-get could not install: ${missing[*]}"
}

# want_packages NAME...: the same for packages without which only some tests are skipped: says so and goes on where
# they cannot be installed.
want_packages() {
    [[ ${HOLDFAST_SKIP_PACKAGES:-0} != 1 ]] && command -v dpkg-query >/dev/null || return 0
    local missing
    readarray -t missing < <(missing_packages "$@")
    [[ ${#missing[@]} -gt 0 ]] || return 0
    if ! may_be_root || ! install_packages "${missing[@]}"; then
        say "without these packages some tests are skipped: ${missing[*]}"
    fi
}

# build_jobs: compilers to run at once: a processor and 2 GiB of memory for each (a source that includes torch takes
# over 1 GiB).
build_jobs() {
    local processors memory_kib jobs
    processors=$(nproc)
    memory_kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
    jobs=$((memory_kib / (2 * 1024 * 1024)))
    ((jobs < processors)) || jobs=$processors
    ((jobs > 0)) || jobs=1
    echo "$jobs"
}
