# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Target `reference`: the reference of the C interface, out of the comments in include/, as HTML and as manual pages
# (build/reference/html, build/reference/man). Doxygen makes it; a warning is an error.

find_program(DOXYGEN_EXECUTABLE doxygen)
set(UMF_REFERENCE_DIR ${CMAKE_CURRENT_BINARY_DIR}/reference)
file(MAKE_DIRECTORY ${UMF_REFERENCE_DIR}/man/man3)
configure_file(docs/Doxyfile.in ${UMF_REFERENCE_DIR}/Doxyfile @ONLY)
if(DOXYGEN_EXECUTABLE)
    add_custom_target(reference COMMAND ${DOXYGEN_EXECUTABLE} ${UMF_REFERENCE_DIR}/Doxyfile
        # Section 3umf: a page like ipc.h(3) is not in the way of others.
        COMMAND sh -c "rm -f *.gz; for page in *.3; do gzip -9nc \"$page\" >\"\${page}umf.gz\" || exit 1; done"
        WORKING_DIRECTORY ${UMF_REFERENCE_DIR}/man/man3
        COMMENT "Reference of the C interface in ${UMF_REFERENCE_DIR}/html" VERBATIM)
endif()
