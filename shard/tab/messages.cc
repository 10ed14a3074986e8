#include "shard/tab/messages.h"

#include <array>
#include <utility>

namespace lvs::tab {
namespace {

struct ReasonText {
  std::string_view name;
  std::string_view words;
};

constexpr std::array<ReasonText, static_cast<std::size_t>(Reason::kCount)> kReasonTexts = {{
    {"none", ""},
    {"full", "all places for links are taken"},
    {"linked", "the two tabs are linked already"},
    {"banned", "this tab sent no state of the shards that it claims"},
    {"crossing", "both tabs offered at once, and the other offer stands"},
    {"nobody", "no tab was found that could answer"},
    {"timeout", "the link did not open within its deadline"},
    {"failed", "the connection failed"},
    {"silent", "nothing was heard for 15 seconds"},
    {"no_rows", "no state was received of the shards that the tab claims"},
    {"redundant", "other links cover the same shards, and a tab in need takes the place"},
    {"replaced", "a fresh link takes the place of an old one"},
    {"rotated", "the place at the server goes to another tab for a while"},
    {"goodbye", "the tab was closed"},
    {"unneeded", "the link is not needed any more"},
    {"self", "a tab cannot link with itself"},
    {"claim", "more shards are claimed than the micro-nodes of the tab can hold"},
    {"too_fast", "more messages than the budget of 30 a minute"},
    {"too_large", "a field of the message is above its limit"},
    {"unasked", "an answer that nobody asked for"},
    {"unknown", "the sender has not announced itself"},
    {"id_taken", "this session is in use; draw a new one"},
    {"tabs_full", "the server has as many tabs as it can serve"},
    {"inbox_full", "the tab has too many offers to answer"},
}};

}  // namespace

std::string_view Name(Reason reason) {
  return reason < Reason::kCount ? kReasonTexts[static_cast<std::size_t>(reason)].name : "";
}

std::string_view Words(Reason reason) {
  return reason < Reason::kCount ? kReasonTexts[static_cast<std::size_t>(reason)].words : "";
}

}  // namespace lvs::tab
