#!/bin/sh
# Cross-compiles the native tests for aarch64 and runs them under qemu, on
# Debian with: dpkg --add-architecture arm64; apt-get update;
# apt-get install g++-aarch64-linux-gnu qemu-user libgtest-dev
# What needs real signals, limits of memory or many OS threads is left out.
set -eu
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
gtest=/usr/src/googletest/googletest
(cd "$build" && apt-get download -q libev-dev:arm64 && dpkg -x libev-dev_*.deb libev)
tests=""
for unit in context exception scheduler timer intrusive_list lock event local time readiness; do
  tests="$tests tests/native/${unit}_test.cpp"
done
# shellcheck disable=SC2086
aarch64-linux-gnu-g++ -std=c++20 -O1 -static -Isrc -Itests/native -I"$build/libev/usr/include" \
  -I"$gtest" -I"$gtest/include" $tests src/core/*.cpp "$gtest/src/gtest-all.cc" \
  "$gtest/src/gtest_main.cc" "$build/libev/usr/lib/aarch64-linux-gnu/libev.a" -lpthread \
  -o "$build/tests"
qemu-aarch64 "$build/tests" --gtest_brief=1 "$@"
