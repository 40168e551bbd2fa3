# graft_add_plugin(NAME SOURCES file.cpp... [TABLEGEN file.td...])
#
# A shared library that `graft compile --load-plugin` and `graft-opt --load-pass-plugin` load. Each FILE.td gives FILE.h.inc and
# FILE.cpp.inc (its dialect and its ops), which the sources include; see docs/writing-a-plugin.md.
function(graft_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 plugin "" "" "SOURCES;TABLEGEN")
  if(NOT plugin_SOURCES OR plugin_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "graft_add_plugin(${name}): expected SOURCES file.cpp..., found '${plugin_UNPARSED_ARGUMENTS}'")
  endif()
  find_program(GRAFT_MLIR_TBLGEN NAMES mlir-tblgen mlir-tblgen-${LLVM_VERSION_MAJOR} HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
  get_target_property(graft_include Graft::Compiler INTERFACE_INCLUDE_DIRECTORIES)
  set(includes -I${CMAKE_CURRENT_SOURCE_DIR})
  foreach(dir ${graft_include} ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
    list(APPEND includes -I${dir})
  endforeach()
  set(generated)
  foreach(td ${plugin_TABLEGEN})
    get_filename_component(stem ${td} NAME_WE)
    foreach(what dialect op)
      foreach(kind h cpp)
        set(form_of_h decls)
        set(form_of_cpp defs)
        set(part ${CMAKE_CURRENT_BINARY_DIR}/${stem}.${what}.${kind}.inc)
        add_custom_command(OUTPUT ${part}
          COMMAND ${GRAFT_MLIR_TBLGEN} -gen-${what}-${form_of_${kind}} ${includes} ${CMAKE_CURRENT_SOURCE_DIR}/${td} -o ${part}
          DEPENDS ${td} VERBATIM)
        list(APPEND generated ${part})
      endforeach()
    endforeach()
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${stem}.h.inc
      "#include \"${stem}.dialect.h.inc\"\n#define GET_OP_CLASSES\n#include \"${stem}.op.h.inc\"\n")
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${stem}.cpp.inc
      "#include \"${stem}.dialect.cpp.inc\"\n#define GET_OP_CLASSES\n#include \"${stem}.op.cpp.inc\"\n")
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${stem}.list.inc
      "#define GET_OP_LIST\n#include \"${stem}.op.cpp.inc\"\n")
  endforeach()
  add_library(${name} MODULE ${plugin_SOURCES} ${generated})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
  target_link_libraries(${name} PRIVATE Graft::Compiler)
  set_target_properties(${name} PROPERTIES PREFIX "" CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON)
endfunction()
