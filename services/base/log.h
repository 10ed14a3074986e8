// The log of a node: one JSON object a line on stderr, for people with jq and for collectors.
//
//   ConfigureLog(v1::INFO, 20);
//   Log(v1::INFO, "peer.connected", {{"peer", address}, {"rtt_ms", 1.5}, {"dialled", true}});
//
//   {"ts":"2026-11-21T11:22:33.123Z","level":"info","event":"peer.connected","peer":"10.0.0.7:7400","rtt_ms":1.5,...}
//
// An event is a constant word, "thing.happened"; values that vary go into fields, with units last in their names. At
// most `lines_per_second` lines of one event are written a second; the next line of that event says how many were left
// out, "suppressed":n. Fields keep their order. The keys ts, level, event and suppressed are the log's own: a field with
// such a key would write the key twice.
//
// Text that is not UTF-8 is written with replacement characters, and NaN and infinity, which JSON lacks, as null.
// Log never throws or fails: a line that cannot be made or written is dropped. Any thread; lines never mix. A process
// that must not wait for a reader of its log starts the log's writer.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string_view>
#include <variant>

#include "lvs/v1/config.pb.h"

namespace lvs::services {

// A key and its value. Text is not copied: make fields in the call of Log, and do not keep them.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, bool, std::int64_t, std::uint64_t, double> value;

  LogField(std::string_view name, std::string_view text) : key(name), value(text) {}
  LogField(std::string_view name, const char* text) : key(name), value(std::string_view(text)) {}
  LogField(std::string_view name, bool flag) : key(name), value(flag) {}
  template <std::signed_integral Number>
  LogField(std::string_view name, Number number) : key(name), value(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral Number>
  LogField(std::string_view name, Number number) : key(name), value(static_cast<std::uint64_t>(number)) {}
  template <std::floating_point Number>
  LogField(std::string_view name, Number number) : key(name), value(static_cast<double>(number)) {}
};

// Writes the line, unless its level is below the configured one or this event had too many lines this second.
void Log(v1::LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {}) noexcept;

// True where Log takes lines of this level: for lines that are costly to make.
bool LogsLevel(v1::LogLevel level) noexcept;

// The level and the limit before the first ConfigureLog, and of a configuration that gives none.
inline constexpr v1::LogLevel kDefaultLogLevel = v1::INFO;
inline constexpr std::uint32_t kDefaultLogLinesPerSecond = 20;  // of one event

// Sets level and limit from now on. 0 lines a second: no limit.
void ConfigureLog(v1::LogLevel level, std::uint32_t lines_per_second);

// From now on a thread writes the lines to `fd`, and Log waits for nobody. Where more than kLogWaitingBytesMax wait for a
// reader, further lines are dropped and counted; the next line that finds room is preceded by the event log.dropped.
// Call it once signals are blocked: the thread inherits the mask. Throws std::system_error where no thread can be started.
void StartLogWriter(int fd = 2);
inline constexpr std::size_t kLogWaitingBytesMax = 1 << 20;

// Waits until the writer has written all, but no longer than `timeout`. Afterwards Log writes by itself again, unless the
// writer still waits for a reader. For the thread that started it.
void EndLogWriter(std::chrono::milliseconds timeout);

// Lines that found no room since StartLogWriter.
std::uint64_t LogLinesDropped();

// Sends gRPC's own lines through Log, instead of to stderr in a format of their own: its errors as event "grpc" at level
// warning (to gRPC every handshake that fails is an error), the rest at level debug, a failed assertion as event
// "grpc.bug" at level error. GRPC_VERBOSITY still decides which lines gRPC writes. Call once, before gRPC is used.
void RouteGrpcLog();

// For tests: a sink that takes lines, without their newline, one at a time; nullptr: stderr again.
void SetLogSink(std::function<void(std::string_view line)> sink);
// For tests: a clock, in microseconds since 1970; nullptr: the system's clock.
void SetLogClock(std::function<std::int64_t()> now_us);

}  // namespace lvs::services
