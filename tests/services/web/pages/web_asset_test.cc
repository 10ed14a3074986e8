// The files that a node serves are those of the build, and every path has an answer.
#include "services/web/pages/web_asset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

namespace lvs::services {
namespace {

bool Ends(const std::string_view text, const std::string_view end) { return text.ends_with(end); }

TEST(WebAsset, EveryFileHasATypeATagAndItsPath) {
  ASSERT_FALSE(WebAssets().empty());
  std::map<std::string_view, std::string_view> tagged;
  for (const WebAsset& asset : WebAssets()) {
    SCOPED_TRACE(asset.path);
    EXPECT_TRUE(asset.path.starts_with("/"));
    EXPECT_FALSE(asset.bytes.empty());
    EXPECT_FALSE(asset.content_type.empty());
    EXPECT_TRUE(asset.etag.starts_with('"') && asset.etag.ends_with('"')) << asset.etag;
    EXPECT_EQ(FindWebAsset(asset.path), &asset);
    // One tag, one content.
    EXPECT_EQ(tagged.emplace(asset.etag, asset.bytes).first->second, asset.bytes);
    // A page is looked up again at every visit; what it names never changes.
    EXPECT_EQ(asset.immutable, !Ends(asset.path, ".html"));
    if (asset.gzip.empty()) continue;
    EXPECT_LT(asset.gzip.size(), asset.bytes.size());
    EXPECT_EQ(asset.gzip.substr(0, 2), "\x1f\x8b");
  }
}

TEST(WebAsset, PathsAreInOrderSoThatTheyAreFound) {
  EXPECT_TRUE(std::is_sorted(WebAssets().begin(), WebAssets().end(),
                             [](const WebAsset& a, const WebAsset& b) { return a.path < b.path; }));
}

TEST(WebAsset, APageIsFoundWithoutItsEnding) {
  EXPECT_EQ(FindWebAsset("/404"), FindWebAsset("/404.html"));
  EXPECT_EQ(FindWebAsset("/404"), &MissingWebAsset());
}

TEST(WebAsset, OtherPathsAreNotFound) {
  for (const char* path : {"", "/../etc/passwd", "/404.html.gz", "404.html", "/no", "/no.js", "//", "/404/"}) {
    EXPECT_EQ(FindWebAsset(path), nullptr) << path;
  }
}

TEST(WebAsset, WhatAPageNamesIsThere) {
  for (const WebAsset& page : WebAssets()) {
    if (!Ends(page.path, ".html")) continue;
    for (std::string_view rest = page.bytes; true;) {
      const auto at = std::min(rest.find("src=\""), rest.find("href=\""));
      if (at == rest.npos) break;
      rest.remove_prefix(rest.find('"', at) + 1);
      std::string name(rest.substr(0, rest.find('"')));
      if (name.find('.') == name.npos || name.find(':') != name.npos) continue;  // another page, or an address
      if (name.starts_with("./")) name.erase(0, 2);
      if (name.empty() || name[0] != '/') name.insert(0, "/");
      EXPECT_NE(FindWebAsset(name), nullptr) << page.path << " names " << name;
    }
  }
}

}  // namespace
}  // namespace lvs::services
