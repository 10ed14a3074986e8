#include "services/base/grpc_deadline.h"

#include <chrono>

namespace lvs::services {
// As grpc::ClientContext, which base does not include.
struct Context {
  void set_deadline(gpr_timespec deadline);
  gpr_timespec raw_deadline() const;
};
void Example(Context& context) { EXAMPLE; }
}  // namespace lvs::services
