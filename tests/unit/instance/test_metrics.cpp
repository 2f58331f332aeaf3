// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "instance/metrics.hpp"

using namespace lxdcore::instance;

TEST_CASE("figures are written in LXD's form and order") {
    MetricSet set;
    const MetricSet::Labels labels{{"name", "c1"}, {"project", "default"}, {"type", "container"}};
    set.add(Metric::Processes, labels, 2);
    set.add(Metric::MemoryTotal, labels, 24684092000);
    auto cpu = labels;
    cpu["cpu"] = "0";
    set.add(Metric::CpuSeconds, cpu, 0.004);
    CHECK(set.text() == R"(# HELP lxd_cpu_seconds_total The total number of CPU time used in seconds.
# TYPE lxd_cpu_seconds_total counter
lxd_cpu_seconds_total{cpu="0",name="c1",project="default",type="container"} 0.004
# HELP lxd_memory_MemTotal_bytes The amount of used memory.
# TYPE lxd_memory_MemTotal_bytes gauge
lxd_memory_MemTotal_bytes{name="c1",project="default",type="container"} 2.4684092e+10
# HELP lxd_procs_total The number of running processes.
# TYPE lxd_procs_total gauge
lxd_procs_total{name="c1",project="default",type="container"} 2
# EOF
)");
}

TEST_CASE("numbers have an exponent from a million on and below a ten-thousandth") {
    const auto written = [](double value) {
        MetricSet set;
        set.add(Metric::Processes, {}, value);
        const auto text = set.text();
        const auto begin = text.find("} ") + 2;
        return text.substr(begin, text.find('\n', begin) - begin);
    };
    CHECK(written(0) == "0");
    CHECK(written(999999) == "999999");
    CHECK(written(1000000) == "1e+06");
    CHECK(written(0.0001) == "0.0001");
    CHECK(written(0.00001) == "1e-05");
}

TEST_CASE("a label's value cannot end it") {
    MetricSet set;
    set.add(Metric::Processes, {{"device", "a\"b\\c\nd"}}, 1);
    CHECK(set.text().find(R"({device="a\"b\\c\nd"} 1)") != std::string::npos);
}

TEST_CASE("sets are joined by metric") {
    MetricSet one, two;
    one.add(Metric::Processes, {{"name", "a"}}, 1);
    two.add(Metric::Processes, {{"name", "b"}}, 2);
    one.add(two);
    CHECK(one.text().ends_with("lxd_procs_total{name=\"a\"} 1\nlxd_procs_total{name=\"b\"} 2\n# EOF\n"));
    CHECK(MetricSet{}.text() == "# EOF\n");
}
