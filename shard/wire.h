// Protobuf's wire format without protobuf, because this folder also compiles where protobuf is not available. Serves
// the messages of proto/lvs/v1/messages.proto (frame_codec.cc, message_sizes.cc); tests compare it with protobuf in
// both directions.
//
//   Counter size;                                  // the same calls count the bytes ...
//   PutVarint(1, shard, &size);
//   Writer out{buffer};                            // ... and write them
//   PutVarint(1, shard, &out);
//   const bool whole = ForEachField(Reader(bytes, n), [&](std::uint32_t field, Wire wire, Reader* in) {
//     if (field != 1 || wire != Wire::kVarint) return false;   // skipped
//     shard = in->Varint();
//     return true;
//   });
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace lvs::shard {

static_assert(std::endian::native == std::endian::little, "columns are copied to the wire as they are");

enum class Wire : std::uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kDelimited = 2,
  kGroupStart = 3,
  kGroupEnd = 4,
  kFixed32 = 5
};

// ---- Writing ----

constexpr std::size_t VarintSize(std::uint64_t value) {
  return static_cast<std::size_t>((std::bit_width(value | 1) * 9 + 64) / 64);
}

inline std::uint8_t* WriteVarint(std::uint64_t value, std::uint8_t* at) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<std::uint8_t>(value | 0x80);
  *at++ = static_cast<std::uint8_t>(value);
  return at;
}

// Put calls describe a message once, for two sinks: Counter counts its bytes, and Writer writes them.
struct Counter {
  std::size_t bytes = 0;
  void Varint(std::uint64_t value) { bytes += VarintSize(value); }
  template <typename Number>
  void Varints(const Number* numbers, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) Varint(static_cast<std::uint64_t>(numbers[i]));
  }
  void Raw(const void*, std::size_t n) { bytes += n; }
};
struct Writer {
  std::uint8_t* at;
  void Varint(std::uint64_t value) { at = WriteVarint(value, at); }
  template <typename Number>
  void Varints(const Number* numbers, std::size_t n) {
    std::uint8_t* to = at;  // a local: written bytes may alias a member, which would be reloaded each time
    for (std::size_t i = 0; i < n; ++i) to = WriteVarint(static_cast<std::uint64_t>(numbers[i]), to);
    at = to;
  }
  void Raw(const void* from, std::size_t n) {
    std::memcpy(at, from, n);
    at += n;
  }
};

template <typename Out>
void PutTag(int field, Wire type, Out* out) {
  out->Varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(type));
}

// Numbers whose bits are all zero are left out, as in protobuf.
template <typename Out>
void PutVarint(int field, std::uint64_t value, Out* out) {
  if (value == 0) return;
  PutTag(field, Wire::kVarint, out);
  out->Varint(value);
}

template <typename Number, typename Out>
void PutFixed(int field, Number value, Out* out) {
  using Bits = std::conditional_t<sizeof value == 8, std::uint64_t, std::uint32_t>;
  if (std::bit_cast<Bits>(value) == 0) return;
  PutTag(field, sizeof value == 8 ? Wire::kFixed64 : Wire::kFixed32, out);
  out->Raw(&value, sizeof value);
}

// A packed column of numbers of fixed size, or bytes.
template <typename Number, typename Out>
void PutColumn(int field, const Number* numbers, std::size_t n, Out* out) {
  if (n == 0) return;
  PutTag(field, Wire::kDelimited, out);
  out->Varint(n * sizeof(Number));
  out->Raw(numbers, n * sizeof(Number));
}

// Puts the output of `body`, behind its length. An empty body is put too.
template <typename Out, typename Body>
void PutDelimited(int field, const Body& body, Out* out) {
  Counter size;
  body(&size);
  PutTag(field, Wire::kDelimited, out);
  out->Varint(size.bytes);
  if constexpr (std::is_same_v<Out, Counter>) {
    out->bytes += size.bytes;
  } else {
    body(out);
  }
}

template <typename Number, typename Out>
void PutVarints(int field, const Number* numbers, std::size_t n, Out* out) {
  if (n == 0) return;
  const auto put = [=](auto* to) { to->Varints(numbers, n); };
  PutDelimited(field, put, out);
}

// ---- Reading ----

// Protobuf's default limit of nested messages and groups.
inline constexpr int kMaxWireDepth = 100;

// Reads a range of bytes from its start. Malformed bytes end it: ok() and more() are false from then on, and every
// number that is read is 0.
class Reader {
 public:
  Reader(const std::uint8_t* at, std::size_t n) : at_(at), end_(at + n) {}
  bool ok() const { return ok_; }
  bool more() const { return at_ < end_; }
  const std::uint8_t* at() const { return at_; }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  // Reads up to ten bytes; bits beyond 64 are dropped.
  std::uint64_t Varint() {
    if (at_ < end_ && *at_ < 0x80) return *at_++;
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ < end_; shift += 7) {
      const std::uint8_t byte = *at_++;
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }
  // Reads a field's number and type: up to five bytes; bits beyond 32 are dropped.
  std::uint32_t Tag() {
    std::uint32_t tag = 0;
    for (int shift = 0; shift < 35 && at_ < end_; shift += 7) {
      const std::uint8_t byte = *at_++;
      tag |= (byte & 0x7fu) << shift;
      if (byte < 0x80) return tag;
    }
    return static_cast<std::uint32_t>(Fail());
  }
  template <typename Number>
  Number Fixed() {
    Number value{};
    if (left() < sizeof value) return static_cast<Number>(Fail());
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  // Reads a length (up to five bytes, below 2^31), and returns the range behind it.
  Reader Delimited() {
    std::uint64_t n = 0;
    int shift = 0;
    for (bool last = false; !last; shift += 7) {
      if (shift == 35 || at_ == end_) return Failed();
      const std::uint8_t byte = *at_++;
      n |= std::uint64_t{byte & 0x7fu} << shift;
      last = byte < 0x80;
    }
    if (n > left()) return Failed();
    at_ += n;
    return {at_ - n, static_cast<std::size_t>(n)};
  }
  // Skips an unknown field, whose tag was just read. `depth`: how many groups may be nested.
  void Skip(std::uint32_t tag, int depth) {
    std::uint32_t open[kMaxWireDepth];  // numbers of the groups that are open
    int groups = 0;
    for (;; tag = Tag()) {
      const std::uint32_t field = tag >> 3;
      if (!ok_ || field == 0) return static_cast<void>(Fail());
      switch (static_cast<Wire>(tag & 7)) {
        case Wire::kVarint: Varint(); break;
        case Wire::kFixed64: Fixed<std::uint64_t>(); break;
        case Wire::kDelimited: Delimited(); break;
        case Wire::kGroupStart:
          if (groups == depth) return static_cast<void>(Fail());
          open[groups++] = field;
          break;
        case Wire::kGroupEnd:
          if (groups == 0 || open[--groups] != field) return static_cast<void>(Fail());
          break;
        case Wire::kFixed32: Fixed<std::uint32_t>(); break;
        default: Fail();
      }
      if (groups == 0) return;
    }
  }

 private:
  std::uint64_t Fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }
  Reader Failed() {
    Fail();
    return {end_, 0};
  }
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool ok_ = true;
};

// Calls take(field, wire, &in) for each field of a message. Where `take` returns false, having read nothing, the field
// is skipped. A message nested in `depth` others may hold that many levels less. Returns whether the bytes are a
// message; fields before a fault were taken.
template <typename Take>
bool ForEachField(Reader in, const Take& take, int depth = 0) {
  while (in.more()) {
    const std::uint32_t tag = in.Tag();
    if (in.ok() && !take(tag >> 3, static_cast<Wire>(tag & 7), &in)) in.Skip(tag, kMaxWireDepth - depth);
  }
  return in.ok();
}

}  // namespace lvs::shard
