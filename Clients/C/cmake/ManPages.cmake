# The man pages of a library, written from the comments of its headers when it is built.
#
#     diskdelta_man_pages(NAME MAIN header.h INCLUDE folders... [KNOWN folders...])
#
# The target NAME_man writes them to the folder man/NAME. KNOWN are folders of headers whose functions are referred to.
function(diskdelta_man_pages name)
    cmake_parse_arguments(PARSE_ARGV 1 man "" "MAIN" "INCLUDE;KNOWN")
    set(generator ${PROJECT_SOURCE_DIR}/man)
    file(GLOB scripts CONFIGURE_DEPENDS ${generator}/*.py)
    set(headers)
    foreach(folder ${man_INCLUDE} ${man_KNOWN})
        file(GLOB_RECURSE found CONFIGURE_DEPENDS ${folder}/*.h)
        list(APPEND headers ${found})
    endforeach()
    set(pages ${PROJECT_BINARY_DIR}/man/${name})
    set(known)
    if(man_KNOWN)
        set(known --known ${man_KNOWN})
    endif()
    # Nothing is left behind in the sources (-B), and the output is the same on every day.
    add_custom_command(OUTPUT ${pages}.stamp
        COMMAND ${Python3_EXECUTABLE} -B ${generator}/generate-man --library ${name} --main ${man_MAIN}
            --version ${PROJECT_VERSION} --date ${DISKDELTA_DATE} --output ${pages}
            --include ${man_INCLUDE} ${known}
        COMMAND ${CMAKE_COMMAND} -E touch ${pages}.stamp
        DEPENDS ${generator}/generate-man ${scripts} ${headers}
        COMMENT "Writing the man pages of ${name}"
        VERBATIM)
    add_custom_target(${name}_man ALL DEPENDS ${pages}.stamp)
    install(DIRECTORY ${pages}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
endfunction()
