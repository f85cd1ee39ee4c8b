# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Debian packages, one per install component (UmfInstall.cmake has the table): `cpack -G DEB` in the build folder.
# lintian finds no error in them (test package.deb).

set(CPACK_PACKAGE_NAME umf)
set(CPACK_PACKAGE_VENDOR "umf")
set(CPACK_PACKAGE_CONTACT "umf developers <umf@umf.example>" CACHE STRING "Maintainer written into packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # it would go in front of every description below
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime dev tools)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libumf1)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_BINARY_DIR}/debian/triggers)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "libtbbmalloc2, libhwloc15, libunwind8, libze1")
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
"memory pools over any memory, and a malloc replacement on them
libumf is a library of memory providers (ordinary, NUMA, huge, shared,
file-backed and GPU memory) and of pools on them, with the interface of
the Unified Memory Framework. libumf_proxy, preloaded, runs an unmodified
program's malloc on any of these.")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libumf-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libumf1 (= ${PROJECT_VERSION}-1), libc6-dev")
set(CPACK_DEBIAN_DEV_DESCRIPTION
"memory pools over any memory: headers and static library
What is needed to build programs with libumf: headers, the static library,
a CMake package and pkg-config files.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME umf-tools)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_DEPENDS "libumf1 (= ${PROJECT_VERSION}-1), python3:any")
set(CPACK_DEBIAN_TOOLS_PACKAGE_RECOMMENDS "binutils")
set(CPACK_DEBIAN_TOOLS_DESCRIPTION
"run any program's malloc on any memory: command-line tools
umf-run starts an unmodified program with its malloc in a pool over the
memory that its options choose, and shows what the machine offers.
umf-profile-flamegraph and umf-profile-diff draw and compare heap profiles.")

# Every Debian package carries its licence and a change log.
string(TIMESTAMP UMF_PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
foreach(pair "runtime;libumf1" "dev;libumf-dev" "tools;umf-tools")
    list(GET pair 0 component)
    list(GET pair 1 UMF_PACKAGE)
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/debian/${UMF_PACKAGE})
    configure_file(cmake/templates/changelog.in ${folder}/changelog.Debian @ONLY)
    configure_file(cmake/templates/copyright.in ${folder}/copyright @ONLY)
    execute_process(COMMAND gzip -9nf ${folder}/changelog.Debian)
    install(FILES ${folder}/copyright ${folder}/changelog.Debian.gz
        DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${UMF_PACKAGE} COMPONENT ${component})
endforeach()

include(CPack)
