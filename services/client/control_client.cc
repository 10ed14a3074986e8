#include "services/client/control_client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <string_view>
#include <thread>
#include <utility>

#include "services/base/grpc_deadline.h"
#include "services/base/host_port.h"
#include "services/base/threads.h"
#include "services/base/yaml_proto.h"

namespace lvs::services {
namespace {

constexpr std::chrono::milliseconds kStopPoll{20};

bool Has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Callers pass both spellings of a TLS error, because BoringSSL writes it in upper case and OpenSSL in lower case.
bool HasAny(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [text](std::string_view part) { return Has(text, part); });
}

// Turns gRPC's own log on standard error off, because each error returns as a status with an explanation. Setting
// GRPC_VERBOSITY turns the log on again.
void SilenceGrpc() {
  static const bool once = [] {
    if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
    return true;
  }();
  static_cast<void>(once);
}

absl::StatusOr<std::string> ReadPem(const std::string& file) {
  absl::StatusOr<std::string> text = ReadTextFile(file);
  if (!text.ok()) return text.status();
  if (!Has(*text, "-----BEGIN ")) return absl::InvalidArgumentError(file + " is not a PEM file");
  return text;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsFor(const ControlTarget& target) {
  if (target.ca_file.empty()) {
    if (target.cert_file.empty() && target.key_file.empty()) return grpc::InsecureChannelCredentials();
    return absl::InvalidArgumentError("--cert and --key need --ca: the certificate that signed the node's");
  }
  if (target.cert_file.empty() != target.key_file.empty()) {
    return absl::InvalidArgumentError("--cert and --key go together");
  }
  grpc::SslCredentialsOptions options;
  for (const auto& [file, to] :
       {std::pair(&target.ca_file, &options.pem_root_certs), std::pair(&target.cert_file, &options.pem_cert_chain),
        std::pair(&target.key_file, &options.pem_private_key)}) {
    if (file->empty()) continue;
    absl::StatusOr<std::string> pem = ReadPem(*file);
    if (!pem.ok()) return pem.status();
    *to = *std::move(pem);
  }
  return grpc::SslCredentials(options);
}

// gRPC's timer, executors and pollers, with one to spare.
constexpr unsigned kThreadsOfGrpc = 8;

// The message is the only way to tell a failed connection from a node that refuses: gRPC uses the same code for both.
bool IsTransport(const grpc::Status& status) {
  const std::string& message = status.error_message();
  return status.error_code() == grpc::StatusCode::UNAVAILABLE &&
         HasAny(message,
                {"failed to connect to all addresses", "Socket closed", "DNS resolution failed", "Connection reset",
                 "Broken pipe", "GOAWAY", "recvmsg", "empty address list", "Endpoint closing", "keepalive"});
}

}  // namespace

absl::StatusOr<ControlClient> ControlClient::Open(const ControlTarget& target) {
  if (const auto at = ParseHostPort(target.address); !at.ok()) return at.status();
  // Where gRPC cannot start its threads, calls wait for ever.
  static const absl::Status can_start_grpc = CheckThreads(kThreadsOfGrpc);
  if (!can_start_grpc.ok()) return can_start_grpc;
  SilenceGrpc();
  const auto credentials = CredentialsFor(target);
  if (!credentials.ok()) return credentials.status();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  // Each client gets its own connection, because clients with different certificates must not share one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // An HTTP proxy in the operator's environment must not be used to reach the cluster.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return ControlClient(target,
                       v1::Control::NewStub(grpc::CreateCustomChannel(target.address, *credentials, arguments)));
}

absl::Status ControlClient::Explain(const grpc::Status& status) const {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string& message = status.error_message();
  const std::string& at = target_.address;
  const bool tls = !target_.ca_file.empty();
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
    return absl::Status(code, "what listens at " + at +
                                  " is not the control service of a node; name its control_listen address, not the one "
                                  "where its peers connect (" +
                                  message + ")");
  }
  if (IsTransport(status)) {
    if (Has(message, "Connection refused")) {
      return absl::Status(
          code, "nobody listens at " + at + "; start the node, or name its control_listen address with --node");
    }
    if (Has(message, "DNS resolution failed")) {
      return absl::Status(code, "no such host: " + ParseHostPort(at)->host);
    }
    if (tls && HasAny(message, {"WRONG_VERSION_NUMBER", "wrong version number"})) {
      return absl::Status(code, at + " speaks no TLS; leave out --ca");
    }
    if (tls && HasAny(message, {"CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Hostname Verification"})) {
      return absl::Status(
          code, "the certificate of " + at + " is not signed by " + target_.ca_file + ", or is for another name");
    }
    if (tls) {
      return absl::Status(code, "no TLS connection to " + at +
                                    "; the node may want a certificate (--cert and --key), or speak no TLS (" +
                                    message + ")");
    }
    return absl::Status(code, "the connection to " + at +
                                  " broke; the node may have ended, or may want TLS: then give --ca (" + message + ")");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && message == "Deadline Exceeded") {
    return absl::Status(code, at + " did not answer within " +
                                  FormatDurationUs(std::chrono::microseconds(target_.timeout).count()) +
                                  "; it may be overloaded or unreachable");
  }
  return absl::Status(code, at + ": " + message);
}

template <typename Request, typename Reply>
absl::StatusOr<Reply> ControlClient::Call(grpc::Status (v1::Control::Stub::*method)(grpc::ClientContext*,
                                                                                    const Request&, Reply*),
                                          const Request& request) const {
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(target_.timeout));
  Reply reply;
  const grpc::Status status = (stub_.get()->*method)(&context, request, &reply);
  if (!status.ok()) return Explain(status);
  return reply;
}

absl::StatusOr<v1::NodeStatus> ControlClient::GetStatus() const {
  return Call(&v1::Control::Stub::GetStatus, v1::StatusRequest());
}

absl::StatusOr<v1::PeerList> ControlClient::ListPeers() const {
  return Call(&v1::Control::Stub::ListPeers, v1::ListPeersRequest());
}

absl::StatusOr<v1::ShardList> ControlClient::ListShards() const {
  return Call(&v1::Control::Stub::ListShards, v1::ListShardsRequest());
}

absl::Status ControlClient::Drain() const { return Call(&v1::Control::Stub::Drain, v1::DrainRequest()).status(); }

absl::StatusOr<v1::Faults> ControlClient::SetFaults(const v1::Faults& faults) const {
  return Call(&v1::Control::Stub::SetFaults, faults);
}

absl::Status ControlClient::Scatter() const { return Call(&v1::Control::Stub::Scatter, v1::ScatterRequest()).status(); }

ContributeResult ControlClient::Contribute(v1::ContributeRequest request) const {
  if (request.timeout_ms() == 0) request.set_timeout_ms(static_cast<std::uint32_t>(target_.timeout.count()));
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(std::chrono::milliseconds(request.timeout_ms()) + kReplySlack));
  ContributeResult result;
  const grpc::Status status = stub_->Contribute(&context, request, &result.reached);
  result.status = Explain(status);
  v1::StatusDetails details;
  if (!status.ok() && details.ParseFromString(status.error_details())) {
    for (const auto& detail : details.details()) {
      if (detail.Is<v1::ContributeReply>()) detail.UnpackTo(&result.reached);
    }
  }
  return result;
}

absl::Status ControlClient::Watch(std::chrono::milliseconds interval,
                                  const std::function<bool(const v1::NodeStatus&)>& on_status,
                                  const std::atomic<bool>* stop) const {
  v1::WatchRequest request;
  request.set_interval_ms(static_cast<std::uint32_t>(interval.count()));
  grpc::ClientContext context;
  const auto reader = stub_->Watch(&context, request);
  // A read blocks, so this thread cancels it after a signal or when a status is overdue.
  std::atomic<bool> overdue{false};
  std::atomic<std::chrono::steady_clock::rep> heard{std::chrono::steady_clock::now().time_since_epoch().count()};
  std::jthread watchdog([&](const std::stop_token& done) {
    while (!done.stop_requested()) {
      const std::chrono::steady_clock::duration silent =
          std::chrono::steady_clock::now().time_since_epoch() - std::chrono::steady_clock::duration(heard.load());
      if (silent > interval + target_.timeout) overdue.store(true);
      if (overdue.load() || (stop != nullptr && stop->load())) return context.TryCancel();
      std::this_thread::sleep_for(kStopPoll);
    }
  });
  v1::NodeStatus node;
  bool ended_here = false;
  while (reader->Read(&node)) {
    heard.store(std::chrono::steady_clock::now().time_since_epoch().count());
    if (!on_status(node)) {
      ended_here = true;
      context.TryCancel();
      break;
    }
  }
  const grpc::Status status = reader->Finish();
  if (ended_here || (stop != nullptr && stop->load())) return absl::OkStatus();
  if (overdue.load()) return Explain(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"));
  if (status.ok()) return absl::UnavailableError(target_.address + " ended the stream: the node is going down");
  return Explain(status);
}

}  // namespace lvs::services
