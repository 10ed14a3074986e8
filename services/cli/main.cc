#include <iostream>

#include "services/cli/cli.h"

int main(int argc, char** argv) { return lvs::services::Main(argc, argv, std::cout, std::cerr); }
