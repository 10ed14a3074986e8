#include "services/web/pages/web_asset.h"

#include <algorithm>
#include <string>

namespace lvs::services {

namespace {

const WebAsset* Named(std::string_view path) {
  const std::span<const WebAsset> all = WebAssets();
  const auto at = std::lower_bound(all.begin(), all.end(), path,
                                   [](const WebAsset& asset, std::string_view name) { return asset.path < name; });
  return at != all.end() && at->path == path ? &*at : nullptr;
}

}  // namespace

const WebAsset* FindWebAsset(std::string_view path) {
  if (path == "/") return Named("/index.html");
  if (const WebAsset* asset = Named(path)) return asset;
  // A page's address has no ending.
  return path.find('.') == path.npos ? Named(std::string(path) + ".html") : nullptr;
}

const WebAsset& MissingWebAsset() { return *Named("/404.html"); }

}  // namespace lvs::services
