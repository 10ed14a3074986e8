// The files of the pages, compiled into the binary (build.mjs makes them, embed.cmake embeds them).
//
//   if (const WebAsset* asset = FindWebAsset("/playground")) Send(asset->gzip, asset->content_type, asset->etag);
#pragma once

#include <span>
#include <string_view>

namespace lvs::services {

struct WebAsset {
  std::string_view path;  // "/playground.html"
  std::string_view bytes;
  std::string_view gzip;  // the same compressed; empty where that saves nothing
  std::string_view content_type;
  std::string_view etag;   // with its quotes
  bool immutable = false;  // the name has a hash of the content: caches may keep it for ever
};

// The asset of a request's path, without its query: "/" is "/index.html", and "/playground" is "/playground.html".
// Null where there is none.
const WebAsset* FindWebAsset(std::string_view path);

// What answers a path that is not here, with status 404.
const WebAsset& MissingWebAsset();

// All of them, by path.
std::span<const WebAsset> WebAssets();

// A page's policy is in its head, so that it holds on every host. This one comes as a header, for what a head cannot say.
inline constexpr std::string_view kWebPolicyHeader = "frame-ancestors 'none'";

}  // namespace lvs::services
