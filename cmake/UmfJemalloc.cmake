# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# A private jemalloc for the jemalloc pool, made from the distribution's static library when CMake
# configures:
#
#   1. all members but the C++ operators are linked into one object
#   2. the thread data leaves the static TLS block (jemalloc_tls.c says how and why)
#   3. every symbol becomes local but the few that the pool calls; those get the prefix
#      umf_jemalloc_. Calls by which jemalloc would listen to the environment, start threads or hook
#      into the process go to pools/jemalloc_imports.c. Its constructor is dropped: it starts when
#      the first jemalloc pool is made.
#
# umf_jemalloc_private(OBJECT REASON): OBJECT is the path of the object file; empty when it could
# not be made, with the REASON in one line.

# Called by the pool. Left: name in the library.
set(UMF_JEMALLOC_CALLED
    "mallocx umf_jemalloc_mallocx"
    "rallocx umf_jemalloc_rallocx"
    "dallocx umf_jemalloc_dallocx"
    "sallocx umf_jemalloc_sallocx"
    "mallctl umf_jemalloc_mallctl"
    "malloc_conf umf_jemalloc_conf"
    "je_tsd_tls umf_jemalloc_tsd_image"
    "je_tsd_cleanup umf_jemalloc_tsd_cleanup"
    "je_jemalloc_prefork umf_jemalloc_prefork"
    "je_jemalloc_postfork_parent umf_jemalloc_postfork_parent"
    "je_jemalloc_postfork_child umf_jemalloc_postfork_child")

# Calls of jemalloc that are answered by pools/jemalloc_imports.c.
set(UMF_JEMALLOC_ANSWERED
    _Unwind_Backtrace _Unwind_GetIP atexit dlsym exp log pthread_atfork pthread_create
    pthread_key_create pthread_setspecific readlink round sbrk secure_getenv)

function(umf_jemalloc_private object reason)
    set(${object} "" PARENT_SCOPE)
    set(tool_source ${PROJECT_SOURCE_DIR}/cmake/jemalloc_tls.c)
    set(work ${PROJECT_BINARY_DIR}/jemalloc)

    if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$"
       OR NOT CMAKE_SIZEOF_VOID_P EQUAL 8
       OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux" OR CMAKE_CROSSCOMPILING)
        set(${reason} "its thread data can be made private on x86-64 Linux only" PARENT_SCOPE)
        return()
    endif()
    find_library(UMF_JEMALLOC_ARCHIVE libjemalloc_pic.a
        DOC "Static jemalloc 5.3 of position-independent code")
    if(NOT UMF_JEMALLOC_ARCHIVE)
        set(${reason} "libjemalloc_pic.a was not found (Debian: libjemalloc-dev)" PARENT_SCOPE)
        return()
    endif()
    if(NOT CMAKE_LINKER OR NOT CMAKE_OBJCOPY OR NOT CMAKE_AR)
        set(${reason} "ld, objcopy or ar was not found" PARENT_SCOPE)
        return()
    endif()
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
        ${UMF_JEMALLOC_ARCHIVE} ${tool_source} ${PROJECT_SOURCE_DIR}/cmake/UmfJemalloc.cmake)

    file(MAKE_DIRECTORY ${work})
    try_compile(built ${work}/tool ${tool_source} COPY_FILE ${work}/jemalloc_tls
        OUTPUT_VARIABLE output)
    unset(built CACHE)
    if(NOT EXISTS ${work}/jemalloc_tls)
        set(${reason} "the tool cmake/jemalloc_tls.c does not compile" PARENT_SCOPE)
        return()
    endif()

    set(names "")
    set(keep "--keep-global-symbol=umf_jemalloc_tsd_image_end") # the tool makes it
    foreach(pair IN LISTS UMF_JEMALLOC_CALLED)
        string(APPEND names "${pair}\n")
        string(REGEX REPLACE "^.* " " --keep-global-symbol=" flag "${pair}")
        string(APPEND keep "${flag}")
    endforeach()
    foreach(name IN LISTS UMF_JEMALLOC_ANSWERED)
        string(APPEND names "${name} umf_jemalloc_import_${name}\n")
    endforeach()
    file(WRITE ${work}/names.txt "${names}")

    # Renaming comes in a step of its own: --keep-global-symbol looks at the names of its input.
    file(COPY ${UMF_JEMALLOC_ARCHIVE} DESTINATION ${work})
    get_filename_component(archive ${UMF_JEMALLOC_ARCHIVE} NAME)
    set(drop "--remove-section=.init_array --remove-section=.rela.init_array")
    foreach(step IN ITEMS
            "${CMAKE_AR} d ${archive} jemalloc_cpp.pic.o"
            "${CMAKE_LINKER} -r --strip-debug --whole-archive ${archive} -o whole.o"
            "./jemalloc_tls whole.o small_tls.o"
            "${CMAKE_OBJCOPY} ${drop} --redefine-syms=names.txt small_tls.o renamed.o"
            "${CMAKE_OBJCOPY} ${keep} renamed.o local.o"
            "${CMAKE_COMMAND} -E copy_if_different local.o umf_jemalloc.o")
        separate_arguments(command UNIX_COMMAND "${step}")
        execute_process(COMMAND ${command} WORKING_DIRECTORY ${work} RESULT_VARIABLE result
            ERROR_VARIABLE output OUTPUT_VARIABLE ignored)
        if(NOT result EQUAL 0)
            string(STRIP "${output}" output)
            set(${reason} "${output} (${step})" PARENT_SCOPE)
            return()
        endif()
    endforeach()
    set(${object} ${work}/umf_jemalloc.o PARENT_SCOPE)
endfunction()
