#include "shard/entropy_engine.h"

#include "shard/random.h"

namespace lvs::shard {

namespace {

// murmur3's finaliser; the kernel has a vector version, and a test checks that both agree.
std::uint32_t Mix32(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

// Four signed bytes, each uniform on +-kEntropyRange.
std::uint32_t Bytes(std::uint32_t word) {
  std::uint32_t bytes = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    const std::uint32_t byte = (word >> shift) & 0xffu;
    bytes |= ((((byte * (2 * kEntropyRange + 1)) >> 8) - kEntropyRange) & 0xffu) << shift;
  }
  return bytes;
}

}  // namespace

std::uint32_t EntropyWord(std::uint64_t seed, std::uint32_t row, std::uint64_t cycle) {
  const std::uint32_t seed32 = static_cast<std::uint32_t>(Mix(seed)) | 1u;
  return Bytes(Mix32(row * 0x9e3779b1u + (seed32 ^ (static_cast<std::uint32_t>(cycle) * 0x85ebca77u))));
}

float EntropyComponent(std::uint32_t word, int component) {
  for (int block = component / 4; block > 0; --block) word = Mix32(word);
  if (component >= 4) word = Bytes(word);
  return static_cast<float>(static_cast<std::int8_t>(word >> (8 * (component % 4)))) / kEntropySteps;
}

}  // namespace lvs::shard
