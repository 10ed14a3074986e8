// The buffer of a stream that writes to a file descriptor and remembers why a write failed, which a std::ostream does not.
//
//   DescriptorBuffer buffer(/*fd=*/1);
//   std::ostream out(&buffer);
//   out << "a line" << std::flush;
//   std::string why = out ? "" : ErrnoText(buffer.error());
//
// For one thread at a time.
#pragma once

#include <array>
#include <streambuf>

namespace lvs::services {

class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int fd);
  ~DescriptorBuffer() override { sync(); }

  // The errno of the first write that failed; 0 where all went well. What could not be written is dropped.
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  const int fd_;
  int error_ = 0;
  std::array<char, 8192> bytes_;
};

}  // namespace lvs::services
