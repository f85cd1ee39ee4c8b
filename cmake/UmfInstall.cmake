# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# What `cmake --install` lays down, and the Debian packages that CPack makes of it.
#
#   component   Debian package   holds
#   runtime     libumf1          libumf.so.1, libumf_proxy.so.1, umf_proxy(7)
#   dev         libumf-dev       headers, the links without a number, libumf.a, CMake package, pkg-config files, manual
#                                pages of the C interface
#   tools       umf-tools        umf-run with its completion, presets, profile scripts, their manual pages
#
# A program finds the libraries by `find_package(umf)` (targets umf::umf, umf::umf_static, umf::proxy) or by
# `pkg-config umf` / `pkg-config umf-static`. Everything can be moved: no file names the prefix.

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
# Relative to the .pc file itself, so that the tree may be installed with another --prefix, and moved.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(UMF_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
    file(RELATIVE_PATH UMF_PC_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
    string(REGEX REPLACE "/$" "" UMF_PC_PREFIX "\${pcfiledir}/${UMF_PC_PREFIX}")
endif()
foreach(name umf umf-static)
    configure_file(cmake/templates/${name}.pc.in ${name}.pc @ONLY)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
endforeach()

# ---- manual pages, compressed ----

# umf_install_man(COMPONENT NAME.SECTION...): pages of docs/man.
function(umf_install_man component)
    foreach(page ${ARGN})
        string(REGEX REPLACE ".*\\." "" section ${page})
        set(packed ${CMAKE_CURRENT_BINARY_DIR}/man/${page}.gz)
        execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/docs/man/${page} OUTPUT_FILE ${packed}
            RESULT_VARIABLE failed)
        if(failed)
            message(FATAL_ERROR "gzip can not compress docs/man/${page}")
        endif()
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/${page})
        install(FILES ${packed} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} COMPONENT ${component})
    endforeach()
endfunction()

file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/man)
umf_install_man(runtime umf_proxy.7)
umf_install_man(dev umf.7)
# Those of the C interface are there once the target `reference` was built.
install(DIRECTORY ${UMF_REFERENCE_DIR}/man/man3 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT dev OPTIONAL
    FILES_MATCHING PATTERN "*.3umf.gz")

# ---- tools: umf-run with completion and presets, profile scripts ----

if(TARGET umf_run)
    install(TARGETS umf_run RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    umf_install_man(tools umf-run.1 umf-profile-flamegraph.1 umf-profile-diff.1)
    install(FILES scripts/completion/umf-run.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME umf-run COMPONENT tools)
    install(DIRECTORY config/ DESTINATION ${CMAKE_INSTALL_DATADIR}/umf COMPONENT tools FILES_MATCHING PATTERN "*.conf")
    # The scripts find their modules beside themselves, also through a link.
    install(DIRECTORY scripts/profiles DESTINATION ${CMAKE_INSTALL_DATADIR}/umf COMPONENT tools
        FILES_MATCHING PATTERN "*.py")
    file(RELATIVE_PATH UMF_SHARE_FROM_BIN ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_DATADIR}/umf)
    foreach(script profile-flamegraph profile-diff)
        install(PROGRAMS scripts/${script} DESTINATION ${CMAKE_INSTALL_DATADIR}/umf COMPONENT tools)
        file(CREATE_LINK ${UMF_SHARE_FROM_BIN}/${script} ${CMAKE_CURRENT_BINARY_DIR}/man/umf-${script} SYMBOLIC)
        install(FILES ${CMAKE_CURRENT_BINARY_DIR}/man/umf-${script} DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    endforeach()
endif()

# ---- Debian packages: cpack -G DEB ----

include(cmake/UmfPackages.cmake)
