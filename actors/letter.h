// How actors send: as CAF does, but in memory that is used again. CAF's own send allocates a mailbox element for every
// message; ours is one that lies in a block (recycled.h). Like caf.h a seam to CAF 0.17.6.
#pragma once

#include <caf/all.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "actors/recycled.h"

namespace lvs::actors {

template <class Message>
class Letter final : public caf::mailbox_element, public caf::detail::tuple_vals_impl<caf::type_erased_tuple, Message> {
 public:
  Letter(caf::strong_actor_ptr from, Message&& message)
      : mailbox_element(std::move(from), caf::make_message_id(), {}),
        caf::detail::tuple_vals_impl<caf::type_erased_tuple, Message>(std::move(message)) {}

  static void* operator new(std::size_t) { return Blocks<sizeof(Letter)>::Take(); }
  static void operator delete(void* letter) { Blocks<sizeof(Letter)>::Give(letter); }

  caf::type_erased_tuple& content() override { return *this; }
  const caf::type_erased_tuple& content() const override { return *this; }
  caf::message move_content_to_message() override { return caf::make_message(std::move(std::get<0>(this->data()))); }
  caf::message copy_content_to_message() const override { return caf::make_message(std::get<0>(this->data())); }
};

// From nobody.
template <class To, class Message>
void Post(const To& to, Message message, caf::strong_actor_ptr from = nullptr, caf::execution_unit* worker = nullptr) {
  using Told = caf::detail::type_list<Message>;
  static_assert(caf::response_type_unbox<caf::signatures_of_t<To>, Told>::valid, "the actor takes no such message");
  if (!to) return;
  caf::mailbox_element_ptr letter(new Letter<Message>(std::move(from), std::move(message)));
  caf::actor_cast<caf::abstract_actor*>(to)->enqueue(std::move(letter), worker);
}

// From an actor, to be run next where it runs.
template <class Self, class To, class Message>
void PostFrom(Self* self, const To& to, Message message) {
  Post(to, std::move(message), self->ctrl(), self->context());
}

}  // namespace lvs::actors
