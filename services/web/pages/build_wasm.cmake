# cmake -DROOT=... -DTARGETS=a;b -P build_wasm.cmake
#
# Builds targets of the preset `wasm` in build/wasm, which is configured first where that is needed.
set(tree ${ROOT}/build/wasm)
if(NOT EXISTS ${tree}/build.ninja)
  message(STATUS "Configuring build/wasm")
  execute_process(COMMAND ${CMAKE_COMMAND} --preset wasm WORKING_DIRECTORY ${ROOT} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build ${tree} --target ${TARGETS} COMMAND_ERROR_IS_FATAL ANY)
