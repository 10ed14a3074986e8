// Included before everything else in builds with the thread sanitizer. There, google/protobuf/map_field.h adds two
// members to maps, which Debian's libprotobuf and the generated code are compiled without: a message with a map would
// have two layouts in one program.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
