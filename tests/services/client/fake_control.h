// A node's control service with canned answers, on a real gRPC server on a free loopback port.
//
//   FakeControl node;
//   node.status.set_cycle(7);
//   ControlClient::Open({.address = node.address()});
//
// Set the public members before the first call. It keeps a ledger: amounts are cumulative, as on a real node.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "lvs/v1/control.grpc.pb.h"

namespace lvs::services {

class FakeControl final : public v1::Control::Service {
 public:
  using Contributed = v1::ContributeReply;

  explicit FakeControl(
      const std::string& address = "127.0.0.1:0",
      const std::shared_ptr<grpc::ServerCredentials>& credentials = grpc::InsecureServerCredentials()) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, credentials, &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = address.substr(0, address.rfind(':')) + ":" + std::to_string(port);
    status.set_state(v1::SERVING);
    status.set_address("127.0.0.1:1");
    status.mutable_ledger()->add_total_uvu(0);
    status.mutable_ledger()->add_total_uvu(0);
  }
  ~FakeControl() override { Stop(); }

  const std::string& address() const { return address_; }
  void Stop() {
    stopping_ = true;
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  v1::NodeStatus status;
  v1::PeerList peers;
  v1::ShardList shards;
  // What to answer to the nth contribution, counted from 1; default: held. Nothing is entered where it sets a code.
  std::function<Contributed(const v1::ContributeRequest&, std::uint64_t nth)> on_contribute;
  // Between a contribution in a stream and its answer.
  std::chrono::milliseconds delay{0};
  // Called when somebody asks for the status, before the answer.
  std::function<void()> on_status;

  v1::Faults Faults() {
    std::lock_guard lock(mutex_);
    return faults_;
  }
  bool Drained() const { return drained_; }
  int Scattered() const { return scattered_; }
  std::uint64_t Contributions() const { return contributions_; }
  // Adds to the total of the first slot what nobody contributed.
  void Corrupt(std::int64_t uvu) { corruption_ = uvu; }

  grpc::Status GetStatus(grpc::ServerContext*, const v1::StatusRequest*, v1::NodeStatus* reply) override {
    if (on_status) on_status();
    *reply = Now();
    return grpc::Status::OK;
  }
  grpc::Status ListPeers(grpc::ServerContext*, const v1::ListPeersRequest*, v1::PeerList* reply) override {
    *reply = peers;
    return grpc::Status::OK;
  }
  grpc::Status ListShards(grpc::ServerContext*, const v1::ListShardsRequest*, v1::ShardList* reply) override {
    *reply = shards;
    return grpc::Status::OK;
  }

  grpc::Status Contribute(grpc::ServerContext*, const v1::ContributeRequest* request,
                          v1::ContributeReply* reply) override {
    *reply = Answer(*request);
    if (reply->code() == 0) return grpc::Status::OK;
    v1::StatusDetails details;
    details.set_code(reply->code());
    details.set_message(reply->message());
    details.add_details()->PackFrom(*reply);
    return {static_cast<grpc::StatusCode>(reply->code()), reply->message(), details.SerializeAsString()};
  }

  grpc::Status ContributeStream(grpc::ServerContext* context,
                                grpc::ServerReaderWriter<v1::ContributeReply, v1::ContributeRequest>* stream) override {
    using Clock = std::chrono::steady_clock;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::pair<Clock::time_point, v1::ContributeReply>> due;
    bool ended = false;
    bool cancelled = false;
    std::thread writer([&] {
      std::unique_lock lock(mutex);
      while (true) {
        changed.wait(lock, [&] { return ended || !due.empty(); });
        if (due.empty() || cancelled) return;
        const auto [at, reply] = due.front();
        due.pop_front();
        if (changed.wait_until(lock, at, [&] { return cancelled; })) return;
        lock.unlock();
        stream->Write(reply);
        lock.lock();
      }
    });
    v1::ContributeRequest request;
    while (stream->Read(&request)) {
      v1::ContributeReply reply = Answer(request);
      reply.set_id(request.id());
      const std::lock_guard lock(mutex);
      due.emplace_back(Clock::now() + delay, reply);
      changed.notify_one();
    }
    {
      const std::lock_guard lock(mutex);
      ended = true;
      cancelled = context->IsCancelled();
      changed.notify_one();
    }
    writer.join();
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* context, const v1::WatchRequest* request,
                     grpc::ServerWriter<v1::NodeStatus>* writer) override {
    while (!context->IsCancelled() && !stopping_ && writer->Write(Now())) {
      for (std::uint32_t slept_ms = 0; slept_ms < request->interval_ms(); slept_ms += 10) {
        if (context->IsCancelled() || stopping_) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
    return grpc::Status::OK;
  }
  grpc::Status Drain(grpc::ServerContext*, const v1::DrainRequest*, v1::DrainReply*) override {
    drained_ = true;
    return grpc::Status::OK;
  }
  grpc::Status Scatter(grpc::ServerContext*, const v1::ScatterRequest*, v1::ScatterReply*) override {
    ++scattered_;
    return grpc::Status::OK;
  }
  grpc::Status SetFaults(grpc::ServerContext*, const v1::Faults* request, v1::Faults* reply) override {
    const std::lock_guard lock(mutex_);
    faults_ = *request;
    *reply = faults_;
    return grpc::Status::OK;
  }

 private:
  using Key = std::tuple<std::uint64_t, std::uint64_t, std::uint32_t, std::uint32_t>;

  v1::NodeStatus Now() {
    const std::lock_guard lock(mutex_);
    v1::NodeStatus now = status;
    for (const auto& [key, amount] : ledger_) {
      const int slot = static_cast<int>(std::get<3>(key));
      now.mutable_ledger()->set_total_uvu(slot, now.ledger().total_uvu(slot) + amount);
    }
    const auto corrupted =
        static_cast<std::uint64_t>(static_cast<std::int64_t>(now.ledger().total_uvu(0)) + corruption_);
    now.mutable_ledger()->set_total_uvu(0, corrupted);
    // Micro-nodes that have lived go on: a cycle for each look.
    if (now.work().micro_node_cycles() > 0) {
      now.mutable_work()->set_micro_node_cycles(now.work().micro_node_cycles() + ++looks_);
    }
    return now;
  }

  v1::ContributeReply Answer(const v1::ContributeRequest& request) {
    const std::uint64_t nth = ++contributions_;
    v1::ContributeReply reply;
    if (on_contribute) {
      reply = on_contribute(request, nth);
    } else {
      reply.set_held(true);
      reply.set_nodes(1);
    }
    if (reply.held()) {
      const std::lock_guard lock(mutex_);
      std::uint64_t& amount = ledger_[{request.session_high(), request.session_low(), request.shard(), request.slot()}];
      amount = std::max(amount, request.amount_uvu());
    }
    return reply;
  }

  std::mutex mutex_;
  v1::Faults faults_;
  std::map<Key, std::uint64_t> ledger_;
  std::atomic<std::uint64_t> contributions_{0};
  std::atomic<std::int64_t> corruption_{0};
  std::atomic<bool> drained_{false};
  std::atomic<int> scattered_{0};
  std::uint64_t looks_ = 0;  // at the status; guarded by mutex_
  std::atomic<bool> stopping_{false};
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace lvs::services
