# Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
# shellcheck shell=bash
# Set-up shared by tests/run and examples/run; sourced, not run.
#
# What a machine lacks comes from its own package manager (apt) where there is one, and otherwise from
# CMake's FetchContent. What the system's release has too old (Boost 1.88, Catch2 3) is taken from a later
# Debian release, at the mirror which the machine's own apt sources name, and only unpacked under
# build/deps: nothing of the system is upgraded.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${ACACHE_BUILD_DIR:-$root/build}
deps=$build/deps
later_release=trixie
later_boost=1.88

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
have_apt() { have apt-get && have dpkg-query; }

jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        note "not root, and no sudo: cannot run: $*"
        return 1
    fi
}

# The system's package lists, once a run, and only if something has to be installed.
updated=
update_lists() {
    [ -n "$updated" ] && return 0
    updated=yes
    note "apt-get update"
    as_root apt-get -qq update
}

# install PACKAGE...: what is missing of these, without recommendations and without removing anything.
install() {
    local package missing=()
    for package; do
        installed "$package" || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    update_lists
    note "apt-get install ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
        apt-get -qq -y --no-remove --no-install-recommends install "${missing[@]}" >/dev/null
}

# first_known PACKAGE...: the first of these that the system's release has.
first_known() {
    local package
    for package; do
        if apt-cache show "$package" 2>/dev/null | grep -q '^Filename:'; then
            echo "$package"
            return 0
        fi
    done
    return 1
}

# Compiler, CMake and Ninja. On a machine without apt they are the user's to install. Sets cxx.
provide_tools() {
    say "Tools: a C++ compiler, cmake, ninja"
    if have_apt; then
        local missing=()
        [ -n "${CXX:-}" ] || have g++ || missing+=(g++)
        have cmake || missing+=(cmake)
        have ninja || missing+=(ninja-build)
        [ ${#missing[@]} = 0 ] || install "${missing[@]}" || return 1
    fi
    cxx=${CXX:-g++}
    have "$cxx" || cxx=c++
    local tool
    for tool in "$cxx" cmake ninja; do
        have "$tool" || { note "$tool is missing; please install it"; return 1; }
        note "$("$tool" --version 2>/dev/null | head -n 1) ($tool)"
    done
}

# unpack_package DIR PACKAGE APT...: a package's files under DIR, got with that apt; once.
unpack_package() {
    local dir=$1 package=$2
    shift 2
    [ ! -e "$dir/done" ] || return 0
    note "apt-get download $package"
    rm -rf "$dir" && mkdir -p "$dir" &&
        (cd "$dir" && "$@" -qq -o APT::Sandbox::User="$(id -un)" download "$package") &&
        dpkg -x "$dir"/*.deb "$dir" && rm "$dir"/*.deb && touch "$dir/done"
}

# Boost's headers and {fmt} as the system's release has them. CMake fetches what is still missing. Sets
# boost_dir, empty where CMake finds Boost by itself.
provide_system_libraries() {
    say "Libraries: Boost >= 1.81 (headers), {fmt} where the compiler has no <format>"
    boost_dir=
    have_apt || { note "no apt here: CMake looks for them, and fetches what it does not find"; return 0; }
    local header package found=''
    for header in /usr/local/include/boost/version.hpp /usr/include/boost/version.hpp; do
        if [ -r $header ] &&
            [ "$(awk '$1 == "#define" && $2 == "BOOST_VERSION" {print $3}' $header)" -ge 108100 ]; then
            note "Boost: ${header%/version.hpp}"
            found=yes
            break
        fi
    done
    if [ -z "$found" ]; then
        first_known libboost1.81-dev libboost-dev >/dev/null || update_lists
        package=$(first_known libboost1.81-dev libboost-dev) || package=
        if [ -n "$package" ] && [ -r /usr/include/boost/version.hpp ]; then
            # The two exclude each other, and the older one is not ours to remove.
            note "the installed Boost is too old: $package, unpacked under build/deps"
            unpack_package "$deps/$package" "$package" apt-get && boost_dir=$deps/$package
        elif [ -n "$package" ]; then
            install "$package"
        fi || note "no Boost from apt: CMake fetches it"
    fi
    if ! echo '#include <version>
               #ifndef __cpp_lib_format
               #error
               #endif' | "$cxx" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null; then
        install libfmt-dev || note "no libfmt-dev from apt: CMake fetches {fmt}"
    fi
}

# apt with lists, cache and sources of our own, so that the system's stay as they are.
later_apt() {
    local tool=$1
    shift
    "$tool" -qq -o Dir::State="$deps/apt/state" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$deps/apt/cache" -o Dir::Etc::SourceList="$deps/apt/later.sources" \
        -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User="$(id -un)" "$@"
}

# Sets up later_apt for the later release, at the first Debian mirror of the system's sources that has it.
later_lists=
provide_later_lists() {
    [ -n "$later_lists" ] && return 0
    [ "$(. /etc/os-release 2>/dev/null; echo "${ID:-}")" = debian ] || return 1
    mkdir -p "$deps/apt/state/lists/partial" "$deps/apt/cache/archives/partial"
    local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    # apt reads both forms of its sources, and tells which lists it would update. Suites with a - or / are
    # updates, security, or other parties' packages.
    for mirror in $(apt-get update --print-uris -o Dir::State="$deps/apt/state" 2>/dev/null |
        sed -n "s|^'\(.*/\)dists/[^-/]*/InRelease'.*|\1|p" | sort -u); do
        note "$later_release at $mirror"
        {
            echo "Types: deb deb-src"
            echo "URIs: $mirror"
            echo "Suites: $later_release"
            echo "Components: main"
            [ ! -r $keyring ] || echo "Signed-By: $keyring"
        } >"$deps/apt/later.sources"
        if later_apt apt-get update -o APT::Update::Error-Mode=any &&
            later_apt apt-cache show "libboost$later_boost-dev" >/dev/null 2>&1; then
            later_lists=yes
            return 0
        fi
    done
    return 1
}

# Boost's headers of a later release. Sets later_boost_dir; the system's where there is no later one.
provide_later_boost() {
    say "Boost $later_boost, from Debian's $later_release, unpacked under build/deps"
    later_boost_dir=$deps/boost-$later_boost
    if [ ! -e "$later_boost_dir/done" ] && ! { have_apt && provide_later_lists; }; then
        note "not to be had here: the system's Boost, or the one CMake fetches, serves for all"
        later_boost_dir=$boost_dir
        return 0
    fi
    unpack_package "$later_boost_dir" "libboost$later_boost-dev" later_apt apt-get || return 1
    note "$later_boost_dir/usr"
}

# Boost.Charconv of that Boost, for the one example over Boost.MySQL, which is left out without it. Sets
# boost_charconv, the library.
provide_boost_charconv() {
    say "Boost.Charconv, unpacked under build/deps"
    boost_charconv=
    local package=libboost-charconv$later_boost-dev dir
    dir=$deps/$package
    if [ "$later_boost_dir" = "$deps/boost-$later_boost" ] &&
        { [ -e "$dir/done" ] || { have_apt && provide_later_lists; }; } &&
        unpack_package "$dir" "$package" later_apt apt-get; then
        boost_charconv=$(find "$dir" -name libboost_charconv.a)
    fi
    note "${boost_charconv:-not to be had here}"
}

# Catch2 3 as source: a library built by another compiler, or without sanitizers, is of no use to us.
# Sets catch2_dir, empty where CMake is to find or fetch it.
provide_catch2() {
    say "Catch2 3, source from Debian's $later_release, unpacked under build/deps"
    catch2_dir=$deps/catch2
    if [ ! -e "$catch2_dir/done" ]; then
        if ! have_apt || ! provide_later_lists; then
            note "not to be had here: CMake looks for it, and fetches it if need be"
            catch2_dir=
            return 0
        fi
        note "apt-get source --download-only catch2"
        rm -rf "$catch2_dir" && mkdir -p "$catch2_dir" &&
            (cd "$catch2_dir" && later_apt apt-get source --download-only catch2 >/dev/null) &&
            tar -xf "$catch2_dir"/catch2_*.orig.tar.* --strip-components=1 -C "$catch2_dir" &&
            rm "$catch2_dir"/catch2_*.{dsc,tar.*} && touch "$catch2_dir/done" || return 1
    fi
    note "$catch2_dir"
}

# Boost.Context of the system's Boost, for the one test that calls from a stackful coroutine, which is left out
# without it. Sets boost_context, the library.
provide_boost_context() {
    say "Boost.Context, unpacked under build/deps"
    boost_context=
    local version package
    version=$(sed -n 's/#define BOOST_LIB_VERSION "\([0-9]*\)_\([0-9]*\).*"/\1.\2/p' \
        "${boost_dir}/usr/include/boost/version.hpp" 2>/dev/null)
    package=libboost-context$version-dev
    if have_apt && [ -n "$version" ]; then
        first_known "$package" >/dev/null || update_lists
        if first_known "$package" >/dev/null && unpack_package "$deps/$package" "$package" apt-get; then
            boost_context=$(find "$deps/$package" -name libboost_context.a)
        fi
    fi
    note "${boost_context:-not to be had here}"
}

# Prometheus' checker of metrics, which one test asks; without it that test is skipped.
provide_promtool() {
    say "promtool, from Debian's prometheus package, unpacked under build/deps"
    if ! have promtool && have_apt; then
        first_known prometheus >/dev/null || update_lists
        if first_known prometheus >/dev/null && unpack_package "$deps/prometheus" prometheus apt-get; then
            PATH=$PATH:$deps/prometheus/usr/bin
        fi
    fi
    note "$(command -v promtool || echo "not to be had here")"
}

# Redis, for the tests that start servers of their own, and are skipped without one. Debian's redis-tools has
# the server's program too, under another name, and no service. Sets ACACHE_REDIS_SERVER.
provide_redis() {
    say "redis-server, from Debian's redis-tools package, and OpenSSL's headers"
    if have_apt; then
        install libssl-dev || note "no libssl-dev from apt: acache::redis is left out"
        if [ -z "${ACACHE_REDIS_SERVER:-}" ] && ! have redis-server && install redis-tools; then
            mkdir -p "$deps/redis" && ln -sf "$(command -v redis-check-rdb)" "$deps/redis/redis-server" &&
                PATH=$PATH:$deps/redis
        fi
    fi
    ACACHE_REDIS_SERVER=${ACACHE_REDIS_SERVER:-$(command -v redis-server)}
    export ACACHE_REDIS_SERVER
    note "${ACACHE_REDIS_SERVER:-not to be had here: its tests are skipped}"
}

# Valkey of a later release, with the libraries of that release, the loader among them, beside it. Sets
# ACACHE_VALKEY_SERVER.
provide_valkey() {
    say "valkey-server, from Debian's $later_release, unpacked under build/deps"
    local dir=$deps/valkey package program
    program=${ACACHE_VALKEY_SERVER:-$(command -v valkey-server)}
    if [ -z "$program" ] && { [ -e "$dir/done" ] || { have_apt && provide_later_lists; }; }; then
        for package in valkey-tools libc6 libgcc-s1 libstdc++6 libatomic1 libjemalloc2 liblzf1 libssl3t64 zlib1g \
            libsystemd0 libcap2 libgcrypt20 liblzma5 libzstd1 liblz4-1 libgpg-error0; do
            [ -e "$dir/done" ] || unpack_package "$dir/$package" "$package" later_apt apt-get || break
        done
        valkey_wrapper "$dir" >"$dir/valkey-server" && chmod +x "$dir/valkey-server" &&
            "$dir/valkey-server" --version >/dev/null && touch "$dir/done" && program=$dir/valkey-server
    fi
    ACACHE_VALKEY_SERVER=$program
    export ACACHE_VALKEY_SERVER
    note "${ACACHE_VALKEY_SERVER:-not to be had here: Redis alone is tested}"
}

# A script that runs what provide_valkey has unpacked in a folder.
valkey_wrapper() {
    local loader libraries
    loader=$(find "$1" -name 'ld-linux*.so*' | head -n 1)
    libraries=$(find "$1" -name '*.so*' -printf '%h\n' | sort -u | paste -s -d :)
    [ -n "$loader" ] || return 1
    printf '#!/bin/sh\nexec "%s" --argv0 valkey-server --library-path "%s" "%s" "$@"\n' \
        "$loader" "$libraries" "$1/valkey-tools/usr/bin/valkey-check-rdb"
}

# MariaDB's server, for the test of the example over a database, which is skipped without it: the program, and
# those of its libraries that the system lacks, no service. Sets ACACHE_MARIADBD.
provide_mariadb() {
    say "mariadbd, from Debian's mariadb-server-core package, unpacked under build/deps"
    local dir=$deps/mariadb package program=${ACACHE_MARIADBD:-$(command -v mariadbd)}
    if [ -z "$program" ] && have_apt; then
        first_known mariadb-server-core >/dev/null || update_lists
        for package in mariadb-server-core $(first_known libaio1 libaio1t64) liburing2; do
            unpack_package "$dir/$package" "$package" apt-get || break
        done
        mariadbd_wrapper "$dir" >"$dir/mariadbd" && chmod +x "$dir/mariadbd" &&
            "$dir/mariadbd" --no-defaults --version >/dev/null && program=$dir/mariadbd
    fi
    ACACHE_MARIADBD=$program
    export ACACHE_MARIADBD
    note "${ACACHE_MARIADBD:-not to be had here: its test is skipped}"
}

# A script that runs what provide_mariadb has unpacked in a folder. The caller's first option stays the first.
mariadbd_wrapper() {
    local libraries
    libraries=$(find "$1" -name '*.so*' -printf '%h\n' | sort -u | paste -s -d :)
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@" --lc-messages-dir="%s"\n' \
        "$libraries" "$1/mariadb-server-core/usr/sbin/mariadbd" "$1/mariadb-server-core/usr/share/mysql"
}

# Whether a clang has the sanitizers' runtimes, and its programs run here. Needs $deps.
sanitizers_work() {
    local sanitizers
    mkdir -p "$deps"
    for sanitizers in address,undefined thread; do
        echo 'int main() {}' | "$1" "-fsanitize=$sanitizers" -x c++ - -o "$deps/probe" 2>/dev/null &&
            "$deps/probe" || return 1
    done
}

# The first clang that can do what we need. Sets clang, empty where there is none.
find_clang() {
    for clang in clang++-19 clang++-20 clang++-21 clang++-22 clang++-18 clang++-17 clang++-16 clang++; do
        have "$clang" && sanitizers_work "$clang" && return 0
    done
    clang=
    return 1
}

# clang with the sanitizers' runtimes, and the symbolizer without which their reports name no line.
provide_clang() {
    say "clang, for the sanitizer runs"
    if ! find_clang || { have_apt && ! have llvm-symbolizer && ! have "llvm-symbolizer-${clang##*-}"; }; then
        local version=
        if have_apt; then
            update_lists
            version=$(first_known clang-19 clang-20 clang-18 clang-17 clang-16) || version=
        fi
        if [ -n "$version" ]; then
            version=${version#clang-}
            install "clang-$version" "libclang-rt-$version-dev" "llvm-$version" || return 1
        fi
        find_clang || note "none with sanitizers that work here"
    fi
    [ -z "$clang" ] || note "$("$clang" --version | head -n 1)"
}
