// What the page shows of a tab, as numbers, and the names of these numbers (tab_module.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shard/tab/tab.h"

namespace lvs::wasm {

std::string FigureNames(const tab::Tab& tab);
void PutFigures(const tab::Tab& tab, std::vector<double>* out);

}  // namespace lvs::wasm
