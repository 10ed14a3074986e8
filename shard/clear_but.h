#pragma once

#include <utility>

namespace lvs::shard {

// Makes a message as new as T{}, and keeps the memory of these columns: it is filled again and again.
template <class T, class... Column>
void ClearBut(T* message, Column T::*... column) {
  T empty;
  ((empty.*column).swap(message->*column), ...);
  ((empty.*column).clear(), ...);
  *message = std::move(empty);
}

}  // namespace lvs::shard
