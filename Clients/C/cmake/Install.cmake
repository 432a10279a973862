# What `cmake --install` writes: the libraries, their headers, and what pkg-config and find_package(diskdelta) read.
include(CMakePackageConfigHelpers)

install(TARGETS diskdelta EXPORT diskdelta)
install(TARGETS diskdelta_static EXPORT diskdelta-static)
install(FILES include/diskdelta.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/diskdelta generated/include/diskdelta DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN *.h)

# pkg-config: the prefix is told relative to the file, so that the installed tree can be moved.
file(RELATIVE_PATH DISKDELTA_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" DISKDELTA_PC_TO_PREFIX "${DISKDELTA_PC_TO_PREFIX}")
configure_file(libdiskdelta.pc.in libdiskdelta.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/libdiskdelta.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# CMake. Until version 1 a minor version may change what programs are built against.
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/diskdelta)
configure_package_config_file(cmake/diskdelta-config.cmake.in diskdelta-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(diskdelta-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/diskdelta-config.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/diskdelta-config-version.cmake
    DESTINATION ${package_folder})
install(EXPORT diskdelta NAMESPACE diskdelta:: FILE diskdelta-shared.cmake DESTINATION ${package_folder})
install(EXPORT diskdelta-static NAMESPACE diskdelta:: FILE diskdelta-static.cmake DESTINATION ${package_folder})
