// Letters: actors send as CAF does, but in recycled memory. CAF's own send allocates a mailbox element for every
// message; a letter is a mailbox element that lies in a block (recycled.h). Like caf.h, a seam to CAF 0.17.6.
//
//   Post(shard, IncomingFrame{from, due_cycle, frame});   // from outside
//   PostFrom(self, monitor, std::move(report));           // from an actor
#pragma once

#include <caf/all.hpp>
#include <cstddef>
#include <tuple>
#include <utility>

#include "actors/recycled.h"

namespace lvs::actors {

template <class Message>
class Letter final : public caf::mailbox_element, public caf::detail::tuple_vals_impl<caf::type_erased_tuple, Message> {
 public:
  Letter(caf::strong_actor_ptr from, Message&& message)
      : mailbox_element(std::move(from), caf::make_message_id(), {}),
        caf::detail::tuple_vals_impl<caf::type_erased_tuple, Message>(std::move(message)) {}

  static void* operator new(std::size_t) {
    static_assert(alignof(Letter) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return Blocks<sizeof(Letter)>::Take();
  }
  static void operator delete(void* letter) { Blocks<sizeof(Letter)>::Give(letter); }

  caf::type_erased_tuple& content() override { return *this; }
  const caf::type_erased_tuple& content() const override { return *this; }
  caf::message move_content_to_message() override { return caf::make_message(std::move(std::get<0>(this->data()))); }
  caf::message copy_content_to_message() const override { return caf::make_message(std::get<0>(this->data())); }
};

// Sends to an actor that takes such a message: from `sender`, on the thread of `worker`; both may be null.
template <class To, class Message>
void PostAs(caf::strong_actor_ptr sender, caf::execution_unit* worker, const To& to, Message message) {
  using Told = caf::detail::type_list<Message>;
  static_assert(caf::response_type_unbox<caf::signatures_of_t<To>, Told>::valid, "the actor takes no such message");
  if (!to) return;
  caf::mailbox_element_ptr letter(new Letter<Message>(std::move(sender), std::move(message)));
  caf::actor_cast<caf::abstract_actor*>(to)->enqueue(std::move(letter), worker);
}

// Sends like caf::anon_send.
template <class To, class Message>
void Post(const To& to, Message message) {
  PostAs(nullptr, nullptr, to, std::move(message));
}

// Sends like an actor's own send.
template <class Self, class To, class Message>
void PostFrom(Self* self, const To& to, Message message) {
  PostAs(self->ctrl(), self->context(), to, std::move(message));
}

}  // namespace lvs::actors
