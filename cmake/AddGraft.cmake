# How a library of Graft is declared. A library lives in <top>/graft/<Library>/; <top> is an include root, so that a header is
# spelled graft/<Library>/X.h in the source tree, the build tree and the installation.

foreach(top dialects passes runtime tools)
  list(APPEND GRAFT_INCLUDE_DIRS ${PROJECT_SOURCE_DIR}/${top} ${PROJECT_BINARY_DIR}/${top})
endforeach()

# Every library waits for all generated headers: they take seconds, and no list of dependencies can be forgotten.
add_custom_target(graft-headers)
add_custom_target(graft-doc)

# graft_tablegen(TD GENERATOR... ): pairs "output.inc;-gen-flags" for one .td file.
# Usage: graft_tablegen(ModularOps.td ModularOps.h.inc "-gen-op-decls" ModularOps.cpp.inc "-gen-op-defs")
function(graft_tablegen td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(TABLEGEN_OUTPUT)
  list(APPEND extra ${GRAFT_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  set(includes)
  foreach(dir ${GRAFT_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
    list(APPEND includes -I${dir})
  endforeach()
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest out flags)
    separate_arguments(flags)
    tablegen(MLIR ${out} ${flags} ${includes})
  endwhile()
  string(REPLACE "/" "-" id "${CMAKE_CURRENT_SOURCE_DIR}/${td}")
  string(MD5 id "${id}")
  add_custom_target(graft-tablegen-${id} DEPENDS ${TABLEGEN_OUTPUT})
  add_dependencies(graft-headers graft-tablegen-${id})
endfunction()

# graft_add_precompiled(): the headers that nearly every file of libGraft.so includes, parsed once: four fifths of a file's time. Not
# CMake's own precompiled headers: those have one file a target. Never from ccache: the file names the headers of the tree that made it.
function(graft_add_precompiled)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
  separate_arguments(flags NATIVE_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}")
  list(APPEND flags -fPIC -std=c++17 ${GRAFT_WARNINGS})
  if(GRAFT_ASSERTIONS)
    list(APPEND flags -UNDEBUG)
  endif()
  foreach(dir ${GRAFT_INCLUDE_DIRS})
    list(APPEND flags -I${dir})
  endforeach()
  foreach(dir ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
    list(APPEND flags -isystem ${dir})
  endforeach()
  add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/graft.pch
    COMMAND ${CMAKE_CXX_COMPILER} ${flags} -fpch-instantiate-templates -Xclang -fno-pch-timestamp
      -x c++-header ${PROJECT_SOURCE_DIR}/cmake/Precompiled.h -MD -MF graft.pch.d -o graft.pch
    DEPENDS graft-headers ${PROJECT_SOURCE_DIR}/cmake/Precompiled.h
    DEPFILE ${PROJECT_BINARY_DIR}/graft.pch.d
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
    COMMENT "Precompiling headers" VERBATIM)
  add_custom_target(graft-precompiled DEPENDS ${PROJECT_BINARY_DIR}/graft.pch)
endfunction()

# graft_use_precompiled(NAME): for a target whose code is compiled as libGraft.so's is.
function(graft_use_precompiled name)
  if(TARGET graft-precompiled)
    # The path as it is seen where Ninja runs; the file itself is among what a compilation says that it read.
    add_dependencies(${name} graft-precompiled)
    target_compile_options(${name} PRIVATE "SHELL:-include-pch graft.pch" "SHELL:-Xclang -fno-pch-timestamp" "SHELL:-Xclang -fno-validate-pch")
  endif()
endfunction()

# graft_add_library(NAME sources...): objects that become part of libGraft.so.
function(graft_add_library name)
  add_library(${name} OBJECT ${ARGN})
  add_dependencies(${name} graft-headers)
  graft_compile_settings(${name})
  graft_use_precompiled(${name})
  target_include_directories(${name} SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS} ${LLD_INCLUDE_DIRS})
  set_property(GLOBAL APPEND PROPERTY GRAFT_LIBRARIES ${name})
endfunction()

# Include roots and warnings shared by everything of Graft's.
set(GRAFT_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-deprecated-declarations)
function(graft_compile_settings name)
  target_include_directories(${name} PRIVATE ${GRAFT_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE ${GRAFT_WARNINGS} $<$<BOOL:${GRAFT_ASSERTIONS}>:-UNDEBUG>)
endfunction()

# graft_add_unit_test(NAME sources... [LIBRARIES library...]): a GoogleTest executable that lit finds. It links libGraft and
# MLIR, or only the LIBRARIES named (the runtime's tests stay free of LLVM).
function(graft_add_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 unit "" "" "LIBRARIES")
  add_executable(${name}Tests ${unit_UNPARSED_ARGUMENTS})
  graft_compile_settings(${name}Tests)
  if(NOT unit_LIBRARIES)
    add_dependencies(${name}Tests graft-headers)
    target_include_directories(${name}Tests SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
    set(unit_LIBRARIES Graft MLIR LLVM)
  endif()
  target_link_libraries(${name}Tests PRIVATE ${unit_LIBRARIES} GTest::gmock GTest::gtest_main)
  set_target_properties(${name}Tests PROPERTIES
    BUILD_RPATH ${LLVM_LIBRARY_DIR} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test/Unit)
endfunction()

# graft_all_targets(OUT DIRECTORY): the executables and shared libraries that `all` builds in a folder and below it.
function(graft_all_targets out directory)
  get_property(found DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  set(result)
  foreach(target ${found})
    get_target_property(type ${target} TYPE)
    if(type MATCHES "EXECUTABLE|SHARED_LIBRARY|MODULE_LIBRARY")
      list(APPEND result ${target})
    endif()
  endforeach()
  get_property(children DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  foreach(child ${children})
    graft_all_targets(below ${child})
    list(APPEND result ${below})
  endforeach()
  set(${out} ${result} PARENT_SCOPE)
endfunction()
