// SPDX-License-Identifier: Apache-2.0
// Templates of images.
#include "fuzz/fuzz.hpp"
#include "util/template_engine.hpp"

using namespace lxdcore;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const TemplateContext context{
        {{"container.name", "c1"}, {"path", "/etc/hostname"}, {"trigger", "create"}, {"properties.os", "busy\nbox"}},
        {{"user.a", "1"}, {"user.text", "a b"}}};
    fuzz::refused_or_done([&] {
        const auto text = render_template(fuzz::text_of(data, size), context);
        fuzz::require(text.size() <= 1U << 20);
    });
    return 0;
}
