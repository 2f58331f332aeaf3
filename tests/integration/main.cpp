// SPDX-License-Identifier: Apache-2.0
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
    if (geteuid() != 0) {
        std::fputs("skipped: needs root\n", stderr);
        return 77;
    }
    return doctest::Context{argc, argv}.run();
}
