// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lxdcore::daemon {

/// For a daemon that has nothing to do: free heap and the pages of program code that start-up or a burst of work
/// touched go back to the host. What is needed again is mapped again from the page cache. Thread-safe.
void give_back_memory() noexcept;

} // namespace lxdcore::daemon
