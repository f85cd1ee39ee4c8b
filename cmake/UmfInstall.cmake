# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# What `cmake --install` lays down, and the Debian packages that CPack makes of it.
#
#   component   Debian package   holds
#   runtime     libumf1          libumf.so.1, libumf_proxy.so.1
#   dev         libumf-dev       headers, the links without a number, libumf.a, CMake package, pkg-config files, manual
#                                pages of the C interface
#   tools       umf-tools        umf-run with its manual page and completion, presets, profile scripts
#
# A program finds the libraries by `find_package(umf)` (targets umf::umf, umf::umf_static, umf::proxy) or by
# `pkg-config umf` / `pkg-config umf-static`. Everything can be moved: no file names the prefix but the .pc files.

include(CMakePackageConfigHelpers)

set(UMF_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/umf)

# ---- libraries and headers ----

set_target_properties(umf PROPERTIES EXPORT_NAME umf_shared)
set_target_properties(umf_static PROPERTIES EXPORT_NAME umf_static)
set_target_properties(umf_proxy PROPERTIES EXPORT_NAME proxy)

install(TARGETS umf umf_proxy EXPORT umfTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
install(TARGETS umf_static EXPORT umfTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev FILES_MATCHING PATTERN "*.h")

# ---- find_package(umf) and pkg-config ----

install(EXPORT umfTargets NAMESPACE umf:: DESTINATION ${UMF_CMAKE_DIR} COMPONENT dev)
configure_package_config_file(cmake/templates/umfConfig.cmake.in umfConfig.cmake INSTALL_DESTINATION ${UMF_CMAKE_DIR})
write_basic_package_version_file(umfConfigVersion.cmake VERSION ${PROJECT_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/umfConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/umfConfigVersion.cmake
    DESTINATION ${UMF_CMAKE_DIR} COMPONENT dev)

# The directories may be absolute (Debian's multiarch) or relative to the prefix.
foreach(kind LIB INCLUDE)
    if(IS_ABSOLUTE ${CMAKE_INSTALL_${kind}DIR})
        set(UMF_PC_${kind}DIR ${CMAKE_INSTALL_${kind}DIR})
    else()
        set(UMF_PC_${kind}DIR "\${prefix}/${CMAKE_INSTALL_${kind}DIR}")
    endif()
endforeach()
foreach(name umf umf-static)
    configure_file(cmake/templates/${name}.pc.in ${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endforeach()

# ---- tools, manual pages, presets: what exists is installed ----

if(TARGET umf_run)
    install(TARGETS umf_run RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    install(FILES docs/man/umf-run.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
    install(DIRECTORY config/ DESTINATION ${CMAKE_INSTALL_DATADIR}/umf COMPONENT tools FILES_MATCHING PATTERN "*.conf")
endif()

# ---- Debian packages: cpack -G DEB ----

include(cmake/UmfPackages.cmake)
