// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "instance/list_cache.hpp"

using lxdcore::instance::ListCache;
using Instances = std::vector<lxdcore::api::Instance>;

TEST_CASE("a list is known until something is committed") {
    ListCache cache;
    CHECK(cache.find("default", 1) == nullptr);
    const auto list = std::make_shared<const Instances>();
    cache.store("default", 1, list);
    CHECK(cache.find("default", 1) == list);
    CHECK(cache.find("other", 1) == nullptr);
    CHECK(cache.find("default", 2) == nullptr);
    const auto newer = std::make_shared<const Instances>();
    cache.store("default", 2, newer);
    CHECK(cache.find("default", 2) == newer);
}

TEST_CASE("a list that nobody asks for is let go") {
    ListCache cache;
    cache.store("a", 1, std::make_shared<const Instances>());
    std::weak_ptr<const Instances> b;
    {
        const auto list = std::make_shared<const Instances>();
        b = list;
        cache.store("b", 1, list);
    }
    cache.forget_unused();
    CHECK(cache.find("a", 1) != nullptr);
    cache.forget_unused();
    CHECK(cache.find("a", 1) != nullptr);
    CHECK(cache.find("b", 1) == nullptr);
    CHECK(b.expired());
}
