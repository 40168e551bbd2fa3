# The installed package: find_package(Graft) gives Graft::Runtime (C, no LLVM), the command Graft::graft, and with the component
# Compiler Graft::Compiler (libGraft.so and MLIR, for tools and plugins).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# graft_install_target(TARGET EXPORTED-NAME SET)
function(graft_install_target target name set)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name}
    INSTALL_RPATH "$ORIGIN;$ORIGIN/../${CMAKE_INSTALL_LIBDIR};${LLVM_LIBRARY_DIR}")
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "SHARED_LIBRARY")
    target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  endif()
  install(TARGETS ${target} EXPORT ${set} COMPONENT ${set})
endfunction()

graft_install_target(graft_runtime Runtime GraftRuntimeTargets)
graft_install_target(graft graft GraftRuntimeTargets)
graft_install_target(Graft Compiler GraftCompilerTargets)
graft_install_target(graft-opt graft-opt GraftCompilerTargets)
graft_install_target(graft-lsp-server graft-lsp-server GraftCompilerTargets)
target_link_libraries(Graft INTERFACE MLIR LLVM)

# Public headers: all of dialects and passes; of a library behind a tool the one of its own name; of the runtime the C interface.
foreach(top dialects passes)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${top}/graft ${PROJECT_BINARY_DIR}/${top}/graft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc" PATTERN CMakeFiles EXCLUDE)
endforeach()
file(GLOB libraries RELATIVE ${PROJECT_SOURCE_DIR}/tools/graft ${PROJECT_SOURCE_DIR}/tools/graft/*)
foreach(library ${libraries})
  if(EXISTS ${PROJECT_SOURCE_DIR}/tools/graft/${library}/${library}.h)
    install(FILES tools/graft/${library}/${library}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/graft/${library})
  endif()
endforeach()
install(FILES runtime/graft/Runtime/graft.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/graft/Runtime)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Graft)
install(EXPORT GraftRuntimeTargets NAMESPACE Graft:: DESTINATION ${package} COMPONENT GraftRuntimeTargets)
install(EXPORT GraftCompilerTargets NAMESPACE Graft:: DESTINATION ${package} COMPONENT GraftCompilerTargets)
configure_package_config_file(cmake/GraftConfig.cmake.in ${PROJECT_BINARY_DIR}/GraftConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/GraftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/GraftConfig.cmake ${PROJECT_BINARY_DIR}/GraftConfigVersion.cmake cmake/GraftModel.cmake cmake/GraftPlugin.cmake
  DESTINATION ${package})
