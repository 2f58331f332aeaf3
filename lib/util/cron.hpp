// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lxdcore {

/// When something is due again and again, on the wall clock of the local time zone. The text is cron's five fields, or
/// names like "@daily"; several are separated by ", ". Reentrant.
class Schedule {
public:
    using Time = std::chrono::system_clock::time_point;

    /// @param subject number of whatever the schedule is for: names of times leave the minute (and hour) open, and each
    /// subject has its own, so that not all happens at once.
    /// @throws Error InvalidArgument with LXD's text
    static Schedule parse(std::string_view text, std::uint64_t subject = 0);

    bool at_startup() const noexcept { return startup_; } ///< "@startup" is among the names
    bool has_lifecycle_names() const noexcept { return startup_ || never_; }

    bool matches(Time time) const; ///< due in the minute that @p time is in
    /// The first full minute after @p time; none within five years for days that never come.
    std::optional<Time> next(Time time) const;
    /// Due in a minute that began after @p last and not after @p now, however many these are: after a jump of the clock
    /// there is one run to catch up with (R59).
    bool due(Time last, Time now) const;

private:
    struct Line {
        std::uint64_t minutes = 0;
        std::uint32_t hours = 0, days = 0, months = 0, weekdays = 0;
        bool every_day = false, every_weekday = false; ///< if neither, one of the two has to fit
    };
    static Line parse_line(std::string_view text);
    void add_name(std::string_view name, std::uint64_t subject);
    static bool fits_day(const Line& line, const std::tm& day);
    static std::optional<Time> next_of(const Line& line, Time time);

    std::vector<Line> lines_;
    bool startup_ = false, never_ = false;
};

} // namespace lxdcore
