// Reuse of the memory of messages. T::kColumns, where it exists, names the columns of a message, whose memory is kept
// when the message is cleared.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

namespace lvs::shard {

// Resets a message to T{}, but keeps the memory of its columns.
template <class T>
void Clear(T* message) {
  T empty{};
  if constexpr (requires { T::kColumns; }) {
    const auto keep = [&](auto column) {
      (empty.*column).swap(message->*column);
      (empty.*column).clear();
    };
    std::apply([&](auto... column) { (keep(column), ...); }, T::kColumns);
  }
  *message = std::move(empty);
}

// Bytes that a cleared message still occupies.
template <class T>
std::size_t HeldBytes(const T& message) {
  std::size_t bytes = sizeof(T);
  if constexpr (requires { T::kColumns; }) {
    const auto held = [&](auto column) { return (message.*column).capacity() * sizeof((message.*column)[0]); };
    std::apply([&](auto... column) { ((bytes += held(column)), ...); }, T::kColumns);
  }
  return bytes;
}

}  // namespace lvs::shard
