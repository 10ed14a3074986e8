#include "services/node/health_service.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/support/sync_stream.h"

namespace lvs::services {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::internal::RpcMethod;

class HealthServiceTest : public ::testing::Test {
 protected:
  HealthServiceTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&health_);
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials());
  }

  grpc::Status Check(const std::string& service, HealthCheckResponse* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return grpc::internal::BlockingUnaryCall<HealthCheckRequest, HealthCheckResponse>(
        channel_.get(), RpcMethod("/grpc.health.v1.Health/Check", RpcMethod::NORMAL_RPC), &context, Of(service),
        response);
  }
  std::unique_ptr<grpc::ClientReader<HealthCheckResponse>> Watch(const std::string& service,
                                                                 grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return std::unique_ptr<grpc::ClientReader<HealthCheckResponse>>(
        grpc::internal::ClientReaderFactory<HealthCheckResponse>::Create(
            channel_.get(), RpcMethod("/grpc.health.v1.Health/Watch", RpcMethod::SERVER_STREAMING), context,
            Of(service)));
  }
  static HealthCheckRequest Of(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    return request;
  }

  HealthService health_{nullptr};
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(HealthServiceTest, AnswersWhoeverAsks) {
  HealthCheckResponse response;
  for (const char* service : {"", "lvs.v1.Control"}) {
    SCOPED_TRACE(service);
    for (const bool serving : {false, true, false}) {
      health_.Tell([&] { return serving; });
      const grpc::Status status = Check(service, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      EXPECT_EQ(response.status(), serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
    }
  }
  EXPECT_EQ(Check("lvs.v1.Peering", &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(HealthServiceTest, TellsWhoeverWatchesOfChanges) {
  grpc::ClientContext context;
  const auto watch = Watch("lvs.v1.Control", &context);
  HealthCheckResponse response;
  for (const bool serving : {false, true, false, true}) {
    health_.Tell([&] { return serving; });
    health_.Tell([&] { return serving; });  // no change
    ASSERT_TRUE(watch->Read(&response));
    EXPECT_EQ(response.status(), serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
  }
  context.TryCancel();
  EXPECT_FALSE(watch->Read(&response));
  watch->Finish();
  grpc::ClientContext other;
  const auto unknown = Watch("no.such.Service", &other);
  ASSERT_TRUE(unknown->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  other.TryCancel();
  unknown->Finish();
}

}  // namespace
}  // namespace lvs::services
