// Upkeep, places, other hubs, the end of a hub, and its figures.
#include <algorithm>
#include <bit>
#include <utility>

#include "services/web/hub.h"
#include "services/web/tab_wire.h"

namespace lvs::services {

using tab::Reason;

namespace {

constexpr double kPlacesSeconds = 1;

absl::Status WhyEnded(TabEnd end) {
  return end == TabEnd::kNoHello ? absl::DeadlineExceededError("no hello came")
                                 : absl::DeadlineExceededError("nothing was heard for too long");
}

}  // namespace

// ---- Upkeep --------------------------------------------------------------------------------------------------------

void Hub::Tick(std::uint64_t cycle, double now_s) {
  cycle_.store(cycle, std::memory_order_relaxed);
  std::vector<StreamPtr> abort;
  {
    const MutexLock places(&places_mu_);
    std::vector<PlaceStep> steps;
    {
      const MutexLock lock(&mu_);
      if (!started_ || stopped_) return;
      abort = Look(now_s);
      TickPlaces(now_s, &steps);
      signalling_.TellHubs();
      Post();
    }
    Carry(steps);
  }
  for (const StreamPtr& stream : abort) stream->Abort();
}

// Returns the streams to abort, which is done without a lock.
std::vector<std::shared_ptr<PeerStream>> Hub::Look(double now_s) {
  SocketTable::Upkeep upkeep = table_.Tick(now_s);
  for (const StreamPtr& stream : upkeep.resume) stream->Resume();
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(static_cast<std::uint64_t>(now_s * 1e6));
  for (const StreamPtr& stream : upkeep.ping) stream->Say(ping);
  for (const auto& [socket, end] : upkeep.close) {
    if (end == TabEnd::kNoHello) options_.refusals->Add(ConnectionRefusal::kHelloMissing);
    Close(socket, end, WhyEnded(end));
  }
  TellBuilds(upkeep.greeted, now_s);
  return std::move(upkeep.abort);
}

void Hub::TellBuilds(const std::vector<Socket*>& greeted, double now_s) {
  gossip_.Publish(now_s);
  const std::uint64_t publication = gossip_.publication();
  const tab::BuildNews& news = gossip_.published();
  const auto tell = [&](std::string_view own_build) {
    return news.builds.size() != 1 || news.builds.front().build != own_build;
  };
  for (Socket* const socket : greeted) {
    if (std::exchange(socket->publication, publication) == publication || !tell(socket->build)) continue;
    socket->stream->Say(WriteTabMessage(news));
  }
  for (auto& [id, hub] : hubs_) {
    if (std::exchange(hub.publication, publication) != publication && tell(hub.build)) hub.say(WriteTabMessage(news));
  }
}

// Sends what signalling has to say, in its order.
void Hub::Post() {
  for (Signalling::Letter& letter : signalling_.TakeLetters()) {
    if (letter.hub == tab::kThisHub) {
      Socket* const socket = table_.FindSession(letter.to);
      if (socket != nullptr && !socket->end) socket->stream->Say(std::move(letter.message));
    } else if (const auto hub = hubs_.find(letter.hub); hub != hubs_.end()) {
      hub->second.say(std::move(letter.message));
    }
  }
}

// ---- Places --------------------------------------------------------------------------------------------------------

void Hub::TickPlaces(double now_s, std::vector<PlaceStep>* steps) {
  if (now_s < places_due_s_ || draining_) return;
  places_due_s_ = now_s + kPlacesSeconds;
  for (const tab::PlaceChange& change : server_places_.Tick(now_s)) {
    Socket* const socket = table_.FindSession(change.tab);
    if (socket == nullptr) continue;
    if (change.reason == Reason::kNone) {
      GivePlace(socket, steps);
    } else {
      TakePlace(socket, change.reason, steps);
    }
  }
}

TabLink Hub::LinkOf(const Socket& socket) const {
  return {.mask = socket.mask,
          .cadence_cycles = std::clamp(socket.cadence_cycles, kPlaceCadenceCycles, tab::kCadenceMax),
          .halo_rows = socket.halo_rows};
}

void Hub::GivePlace(Socket* socket, std::vector<PlaceStep>* steps) {
  const std::optional<std::uint32_t> place = slots_.Occupy(socket->session);
  if (!place) return;  // there are as many slots as places
  socket->place = place;
  ++figures_.places_given;
  const TabLink link = LinkOf(*socket);
  socket->stream->Say(WriteTabMessage(tab::Place{true, Reason::kNone, link.cadence_cycles, kPlaceHaloRows}));
  steps->push_back({socket->stream, *place, link});
}

// `said`: what the tab is told; empty: it is gone.
void Hub::TakePlace(Socket* socket, std::optional<Reason> said, std::vector<PlaceStep>* steps) {
  if (!socket->place) return;
  slots_.Leave(*socket->place);
  steps->push_back({socket->stream, *socket->place, std::nullopt});
  socket->place.reset();
  if (said) socket->stream->Say(WriteTabMessage(tab::Place{false, *said, 0, 0}));
}

void Hub::Carry(const std::vector<PlaceStep>& steps) {
  if (disconnected_) return;
  for (const PlaceStep& step : steps) {
    const std::uint32_t link = options_.first_link + step.place;
    if (step.up) {
      outlets_[step.place]->Bind(step.stream, [&] { link_changed_(link, &*step.up); });
    } else {
      outlets_[step.place]->Unbind(step.stream, [&] { link_changed_(link, nullptr); });
    }
  }
}

tab::ShardMask Hub::IncompleteShards() const {
  const MutexLock lock(&mu_);
  return tab::AllShards(options_.shards) & ~server_places_.Heard(1);
}

// ---- Other hubs ----------------------------------------------------------------------------------------------------

void Hub::HubUp(tab::HubId hub, SayToHub say, double now_s, std::string_view build, std::uint32_t protocol) {
  if (hub == tab::kThisHub) return;
  const MutexLock lock(&mu_);
  ForgetHub(hub);
  hubs_.emplace(hub, OtherHub{std::move(say), std::string(build)});
  signalling_.HubUp(hub, now_s);
  gossip_.Came(build, protocol);
}

void Hub::HubDown(tab::HubId hub) {
  const MutexLock lock(&mu_);
  ForgetHub(hub);
}

void Hub::ForgetHub(tab::HubId hub) {
  const auto at = hubs_.find(hub);
  if (at == hubs_.end()) return;
  gossip_.Went(at->second.build);
  hubs_.erase(at);
  signalling_.HubDown(hub);
}

void Hub::TakeFromHub(tab::HubId hub, const v1::PeerMessage& message, double now_s) {
  const MutexLock lock(&mu_);
  if (message.has_builds()) {
    tab::PeerMessage read;
    if (hubs_.contains(hub) && !ReadTabMessage(message, &read)) gossip_.Heard(std::get<tab::BuildNews>(read));
    return;
  }
  signalling_.TakeFromHub(hub, message, now_s);
  Post();
}

// ---- Leaving -------------------------------------------------------------------------------------------------------

std::vector<std::shared_ptr<PeerStream>> Hub::Streams() const {
  std::vector<StreamPtr> streams;
  const MutexLock lock(&mu_);
  for (const auto& [id, socket] : table_.sockets()) streams.push_back(socket.stream);
  return streams;
}

void Hub::Drain(std::string_view reason) {
  v1::PeerMessage goodbye;
  goodbye.mutable_goodbye()->set_reason(std::string(reason.substr(0, kWordsMax)));
  const MutexLock lock(&mu_);
  draining_ = true;
  for (const auto& [id, socket] : table_.sockets()) {
    if (socket.greeted()) socket.stream->Say(goodbye);
  }
}

void Hub::Stop() {
  const MutexLock lock(&mu_);
  stopped_ = true;
  for (const auto& [id, socket] : table_.sockets()) {
    Close(table_.Find(id), TabEnd::kNodeEnds, absl::UnavailableError("this server ends; try another"));
  }
}

void Hub::Abort() {
  for (const StreamPtr& stream : Streams()) stream->Abort();
}

void Hub::Disconnect() {
  const MutexLock places(&places_mu_);
  disconnected_ = true;
  for (const auto& outlet : outlets_) outlet->Clear();
}

// ---- What operators see --------------------------------------------------------------------------------------------

HubFigures Hub::Figures() const {
  const MutexLock lock(&mu_);
  HubFigures figures = figures_;
  for (const auto& [id, socket] : table_.sockets()) {
    const PeerStream::Counts counts = socket.stream->counts();
    figures.frames_in += socket.intake.taken();
    figures.frames_out += counts.sent.frames_sent;
    figures.bytes_in += counts.bytes_received;
    figures.bytes_out += counts.sent.bytes_sent;
    figures.resting += socket.resting ? 1 : 0;
    const tab::Card* const card = socket.mask == 0 ? nullptr : signalling_.directory().Find(socket.session);
    if (card == nullptr) continue;
    figures.micro_nodes += card->micro_nodes;
    figures.links += card->links;
  }
  figures.tabs = table_.tabs();
  figures.strangers = table_.sockets().size() - table_.tabs();
  figures.listed = signalling_.directory().tabs();
  figures.remote = signalling_.directory().remote();
  figures.hubs = hubs_.size();
  figures.places = options_.places;
  figures.places_taken = server_places_.taken();
  const tab::ShardMask all = tab::AllShards(options_.shards);
  const tab::ShardMask once = all & server_places_.Heard(1), twice = all & server_places_.Heard(2);
  figures.shards_heard = {tab::ShardCount(all & ~once), tab::ShardCount(once & ~twice), tab::ShardCount(twice)};
  for (std::uint32_t s = 0; s < options_.shards; ++s) {
    if (signalling_.directory().holders(s) > 0) figures.shards_held |= tab::MaskOfShard(s);
  }
  figures.signalling = signalling_.counts();
  for (std::size_t n = 0; n < figures.refused.size(); ++n) {
    figures.refused[n] = signalling_.refused(static_cast<Reason>(n));
  }
  return figures;
}

tab::BuildNews Hub::Builds() const {
  const MutexLock lock(&mu_);
  return gossip_.News();
}
bool Hub::draining() const {
  const MutexLock lock(&mu_);
  return draining_;
}
std::size_t Hub::stream_count() const {
  const MutexLock lock(&mu_);
  return table_.sockets().size();
}

}  // namespace lvs::services
