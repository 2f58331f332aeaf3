// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lxdcore/error.hpp>

#include "util/template_engine.hpp"

using namespace lxdcore;
using namespace lxdcore;

namespace {

const TemplateContext kContext{
    .values = {{"container.name", "c1"}, {"instance.privileged", "false"}, {"zero", "0"}, {"trigger", "create"}},
    .config = {{"user.network_mode", "dhcp"},
               {"user.blanks", " v "},
               {"user.lines", "a\n\n"},
               {"user.line", "\n"},
               {"user.windows", "a\r\n"},
               {"user.evil", "{% include \"/etc/passwd\" %}"}}};

std::string render(const char* source) { return render_template(source, kContext); }

} // namespace

TEST_CASE("values, defaults and filters are filled in") {
    CHECK(render("{{ container.name }}\n") == "c1\n");
    CHECK(render("{{container.name|upper}}") == "C1");
    CHECK(render("{{ nothing }}|{{ nothing|default:\"x\" }}") == "|x");
    CHECK(render("{{ config_get(\"user.network_mode\", \"\") }}") == "dhcp");
    CHECK(render("{{ config_get('user.missing', 'static') }}") == "static");
    CHECK(render("{{ config_get(\"user.missing\", container.name)|capfirst }}") == "C1");
    CHECK(render("a{# {{ ignored }} #}b") == "ab");
}

TEST_CASE("a dash at a tag takes the blanks of the template on that side, as in LXD") {
    CHECK(render("a \n\n {%- if true -%} \n\n b {%- endif %} c") == "ab c");
    CHECK(render("{{ config_get('user.blanks','') }} {%- if true %}d{% endif -%}  e") == " v de");
    CHECK(render("[{{- config_get('user.blanks','') -}}] \n{{- 'q' -}}\n z") == "[ v ]qz");
    CHECK(render("a {#- c -#} b") == "a  b");
    CHECK(render("{%- if false -%} x {%- else -%} y {%- endif -%}\t\r\n z") == "yz");
    CHECK(render("a\u00a0{%- if true %}b{% endif %}") == "a\u00a0b");
    CHECK(render("{% if true -%}\n\n\n a{% endif %} {{- trigger }}") == "acreate");
}

TEST_CASE("config_get gives values without the ends of lines at their end, as in LXD") {
    CHECK(render("{{ config_get('user.lines', 'd') }}|{{ config_get('user.line', 'd') }}|") == "a||");
    CHECK(render("{{ config_get('user.windows', '') }}|{{ config_get('user.blanks', '') }}|") == "a\r| v |");
    CHECK(render("{{ config_get('user.none', 'd\n') }}|") == "d\n|");
    CHECK(render("{% if config_get('user.line', '') == '' %}empty{% endif %}") == "empty");
}

TEST_CASE("conditions choose one branch") {
    const char* source =
        "{% if config_get(\"user.network_mode\", \"\") == \"link-local\" %}manual"
        "{% elif trigger == 'create' and instance.privileged == 'false' %}auto{% else %}dhcp{% endif %}";
    CHECK(render(source) == "auto");
    CHECK(render("{% if not (nothing or trigger) %}a{% else %}b{% endif %}") == "b");
    CHECK(render("{% if nothing %}{% if trigger %}a{% endif %}{% else %}b{% endif %}") == "b");
    CHECK(render("{% if 'a' in container.name %}x{% endif %}{% if \"c\" in container.name %}y{% endif %}") == "y");
}

TEST_CASE("texts are true unless they are empty, and comparisons have a text") {
    CHECK(render("{% if zero %}a{% endif %}{% if instance.privileged %}b{% endif %}{% if nothing %}c{% endif %}") ==
          "ab");
    CHECK(render("{% if 0 %}a{% else %}b{% endif %}{% if '0' %}c{% endif %}{% if 10 %}d{% endif %}") == "bcd");
    CHECK(render("{{ zero|default:'d' }} {{ 1 == 1 }} {{ 'a' == 'b' }} {{ instance.privileged }}") ==
          "0 True False false");
    CHECK(render("{% if false or not true %}a{% endif %}{% if true and not nothing %}b{% endif %}") == "b");
}

TEST_CASE("nothing outside of the given values can be reached (R4)") {
    for (const char* source :
         {"{% include \"/etc/passwd\" %}", "{% extends \"/etc/passwd\" %}", "{% import \"/etc/passwd\" x %}",
          "{% ssi \"/etc/passwd\" %}", "{%include'/etc/passwd'%}", "{{ open(\"/etc/passwd\") }}", "{{ exec('id') }}",
          "{% for x in config %}{% endfor %}", "{% macro x() %}{% endmacro %}", "{{ container.name|unknown }}"}) {
        CAPTURE(source);
        CHECK_THROWS_AS(render(source), Error);
    }
}

TEST_CASE("a value is data, never a template") {
    CHECK(render("{{ config_get('user.evil', '') }}") == "{% include \"/etc/passwd\" %}");
}

TEST_CASE("malformed templates are errors") {
    for (const char* source : {"{{ a", "{% if a %}", "{% endif %}", "{% else %}", "{{ 'a }}", "{{ a b }}", "{{ }}",
                               "{{ config_get( }}", "{{ a|default }}"}) {
        CAPTURE(source);
        CHECK_THROWS_AS(render(source), Error);
    }
}

TEST_CASE("nesting and size are bounded (R4)") {
    std::string deep;
    for (int i = 0; i < 1000; ++i)
        deep += "{% if trigger %}";
    CHECK_THROWS_AS(render_template(deep, kContext), Error);
    CHECK_THROWS_AS(render_template("{{ " + std::string(5000, '(') + "1", kContext), Error);
    CHECK_THROWS_AS(render_template(std::string((1 << 20) + 1, 'x'), kContext), Error);
    TemplateContext big = kContext;
    big.config["k"] = std::string(600'000, 'y');
    CHECK_THROWS_AS(render_template("{{ config_get('k','') }}{{ config_get('k','') }}", big), Error);
}
