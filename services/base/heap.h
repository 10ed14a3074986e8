// The heap of a process that reads messages from peers.
//
//   int main() { KeepHeap(); }
#pragma once

namespace lvs::services {

// Makes glibc keep freed memory at the top of the heap. gRPC reads each message into fresh memory; without this call
// glibc returns the top of the heap to the system after each message and takes it again, page by page, for the next
// (docs/decisions.md). Call it before the first message is read.
void KeepHeap();

// Gives memory that is free inside the heap back to the system. Takes milliseconds and holds up other threads that
// allocate: for the time after an attack, not for every day.
void ReturnFreeMemory();

}  // namespace lvs::services
