// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cxxabi.h>
#include <unistd.h>

#include <pybind11/pybind11.h>

namespace lxdcore::python {

/// The GIL is free meanwhile. A thread that wants it back when the interpreter has ended stays here for good: Python
/// would end the thread, which unwinds through destructors, and that ends the process.
class Unlocked {
public:
    Unlocked() : state_{PyEval_SaveThread()} {}
    ~Unlocked() {
        try {
            PyEval_RestoreThread(state_);
        } catch (abi::__forced_unwind&) {
            while (true)
                ::pause();
        }
    }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    PyThreadState* state_;
};

} // namespace lxdcore::python
