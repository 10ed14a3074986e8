#include "services/tabs/hub_line.h"

#include <utility>

#include "services/net/web_socket.h"

namespace lvs::services {
namespace {

// Posts what one socket reports.
class Correspondent final : public StreamOwner {
 public:
  Correspondent(std::shared_ptr<Mail> mail, TabKey key, std::uint32_t socket)
      : mail_(std::move(mail)), key_(key), socket_(socket) {}

  void Take(const std::shared_ptr<PeerStream>& /*stream*/, const v1::PeerMessage& message, std::size_t /*bytes*/,
            double /*now_s*/) override {
    mail_->Post({.to = key_, .kind = Letter::Kind::kHubSaid, .at = socket_, .text = message.SerializeAsString()});
  }
  void Unreadable() override {}
  void Gone(const std::shared_ptr<PeerStream>& /*stream*/, const absl::Status& why, double /*now_s*/) override {
    mail_->Post({.to = key_,
                 .kind = Letter::Kind::kHubGone,
                 .at = socket_,
                 .code = CloseCodeOf(why),
                 .text = std::string(why.message())});
  }

 private:
  const std::shared_ptr<Mail> mail_;
  const TabKey key_;
  const std::uint32_t socket_;
};

}  // namespace

HubLine::HubLine(std::shared_ptr<Mail> mail, TabKey key, std::uint32_t socket, WebDialler* dialler,
                 const std::string& url)
    : socket_(socket),
      stream_(std::make_shared<PeerStream>(key, url, std::make_shared<Correspondent>(std::move(mail), key, socket),
                                           Outbox::Limits{})) {
  dialler->Dial(url, stream_);
}

void HubLine::Say(std::string_view bytes) {
  v1::PeerMessage message;
  message.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
  stream_->Say(std::move(message));
}

void HubLine::Close(std::string_view words) {
  if (stream_ == nullptr) return;
  stream_->Close(words.empty() ? absl::OkStatus() : absl::CancelledError(std::string(words)));
  stream_ = nullptr;
}

}  // namespace lvs::services
