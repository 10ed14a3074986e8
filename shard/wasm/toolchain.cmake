# Cross-compiles the pure folders (vaultguard/, shard/, shard/hosting/) to WebAssembly with Debian's clang-14 set:
# deploy/setup.sh, `wasm_packages`. The preset `wasm` uses this file.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(triple wasm32-wasi)

set(CMAKE_C_COMPILER clang-14)
set(CMAKE_CXX_COMPILER clang++-14)
set(CMAKE_C_COMPILER_TARGET ${triple})
set(CMAKE_CXX_COMPILER_TARGET ${triple})
set(CMAKE_AR llvm-ar-14)
set(CMAKE_RANLIB llvm-ranlib-14)
# A module without main cannot pass CMake's trial link.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

# The compiler's default search path ends in /usr/include. The host's headers must not be found by accident, so only
# those of the target are named. shard/wasm/CMakeLists.txt adds Highway's, which are the same for every target.
add_compile_options(-nostdlibinc
  "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-isystem /usr/include/${triple}/c++/v1>" "SHELL:-isystem /usr/include/${triple}")
# No exceptions and no run-time types: the pure folders use neither, and both cost size.
set(CMAKE_CXX_FLAGS_INIT "-msimd128 -fno-exceptions -fno-rtti -fvisibility=hidden -ffunction-sections -fdata-sections")

# A reactor exports functions for as long as the module lives; a command would end with main.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-mexec-model=reactor -Wl,--gc-sections -Wl,--strip-all -Wl,-z,stack-size=262144")

set(CMAKE_FIND_ROOT_PATH /usr/lib/${triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
