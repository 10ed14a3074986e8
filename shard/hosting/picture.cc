#include "shard/hosting/picture.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <unordered_map>

#include "shard/entropy_engine.h"
#include "vaultguard/limits.h"

namespace lvs::hosting {

namespace {

// The two coordinates that a picture shows.
struct Axes {
  explicit Axes(const shard::Shape& shape)
      : x(shape.free_coordinates >= 1 ? shape.value_slots : 0),
        y(shape.free_coordinates >= 2 ? shape.value_slots + 1 : std::min(x + 1, shape.dimensions() - 1)) {}
  int x;
  int y;
};

float MeanEntropy(std::uint32_t word, int dimensions) {
  float sum = 0;
  for (int c = 0; c < dimensions; ++c) sum += std::abs(shard::EntropyComponent(word, c));
  return sum / static_cast<float>(dimensions);
}

}  // namespace

void Picture::Choose(const shard::StateShard& shard, std::uint32_t wanted) {
  chosen_.clear();
  if (wanted == 0) return;
  const shard::Columns& columns = shard.columns();
  const Axes axes(shard.config().shape);
  const std::size_t step = std::max<std::size_t>(1, shard.replicas() / wanted);
  std::size_t alive = 0;
  for (std::size_t row = columns.first_local; row < columns.end && chosen_.size() < wanted; ++row) {
    if (!columns.Alive(row) || alive++ % step != 0) continue;
    const float* said = columns.Said(row);
    const bool spoke = (columns.Meta(row) & shard::kMetaValid) != 0;
    chosen_.push_back({static_cast<std::uint32_t>(row), spoke, said[axes.x], said[axes.y]});
  }
}

void Picture::Draw(const shard::StateShard& shard, std::vector<Dot>* dots) const {
  if (chosen_.empty()) return;
  const shard::Columns& columns = shard.columns();
  const shard::Shape& shape = shard.config().shape;
  const Axes axes(shape);
  std::unordered_map<std::uint32_t, std::uint32_t> dot_of;  // row
  for (const Chosen& chosen : chosen_) dot_of.emplace(chosen.row, static_cast<std::uint32_t>(dot_of.size()));
  for (const Chosen& chosen : chosen_) {
    Dot& dot = dots->emplace_back();
    dot.adversary = (columns.flags[chosen.row] & shard::kAdversary) != 0;
    const float* said = shard.said(chosen.row);
    const auto place = [&](int c) {
      const float at =
          dot.adversary ? said[c] : columns.state[static_cast<std::size_t>(c) * columns.stride + chosen.row];
      return std::abs(at) <= vaultguard::kMaxDistance ? at : 0.0f;
    };
    dot.x = place(axes.x);
    dot.y = place(axes.y);
    if (chosen.spoke && !dot.adversary) {
      dot.dx = dot.x - chosen.x;
      dot.dy = dot.y - chosen.y;
    }
    dot.entropy = MeanEntropy(shard.said_entropy(chosen.row), shape.dimensions());
    for (int slot = 0; slot < shape.peers; ++slot) {
      const std::uint32_t link = columns.link[static_cast<std::size_t>(slot) * columns.stride + chosen.row];
      const auto neighbour = dot_of.find(shard::NeighbourOf(link));
      if (neighbour != dot_of.end() && neighbour->first != chosen.row) dot.neighbours.push_back(neighbour->second);
    }
  }
}

}  // namespace lvs::hosting
