#pragma once

namespace lvs::services {

// For a process that reads what peers say, before it does. gRPC reads each message into fresh memory of the heap, and
// glibc gives what is free at the top of the heap back to the system after each and takes it again, page by page, for
// the next (docs/decisions.md).
void KeepHeap();

}  // namespace lvs::services
