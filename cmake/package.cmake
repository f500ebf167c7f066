# What `cmake --install` installs: the command with its man pages and completions, the library shared and static, the public
# headers, and the packages for CMake and pkg-config through which other projects find them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(room_objects "")
foreach(room IN LISTS MOIRE_ROOMS)
  list(APPEND room_objects $<TARGET_OBJECTS:${room}>)
endforeach()
set(private_libraries ${LLVM_SHARED} ${JANSSON_LINK_LIBRARIES} ${YAML_LINK_LIBRARIES} ${ZLIB_LINK_LIBRARIES} ${LIBZIP_LINK_LIBRARIES} ${OPENBLAS_LINK_LIBRARIES}
  pthread ${CMAKE_DL_LIBS} m)

add_library(moire_shared SHARED ${room_objects})
# Where the loader finds libLLVM by itself, no path to it is recorded: that of the development package is absent elsewhere.
file(REAL_PATH ${LLVM_SHARED} llvm_file)
cmake_path(GET llvm_file PARENT_PATH llvm_folder)
set(llvm_needs_path ON)
if(llvm_folder STREQUAL "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
  set(llvm_needs_path OFF)
endif()

set_target_properties(moire_shared PROPERTIES OUTPUT_NAME moire EXPORT_NAME moire VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE C INSTALL_RPATH_USE_LINK_PATH ${llvm_needs_path})
target_link_libraries(moire_shared PRIVATE -Wl,--as-needed ${private_libraries})
target_link_options(moire_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/exports.map
  -Wl,--no-undefined)

add_library(moire_static STATIC ${room_objects})
set_target_properties(moire_static PROPERTIES OUTPUT_NAME moire EXPORT_NAME static LINKER_LANGUAGE C)
target_link_libraries(moire_static INTERFACE ${private_libraries})

foreach(target moire_shared moire_static)
  target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()
set_target_properties(moire PROPERTIES INSTALL_RPATH_USE_LINK_PATH ${llvm_needs_path})

install(TARGETS moire RUNTIME)
if(MOIRE_MODULES)
  # Where runtime/team/load.c looks. Of a component of their own, so that the package does not depend on every MPI.
  install(TARGETS ${MOIRE_MODULES} LIBRARY DESTINATION lib/moire COMPONENT mpi EXCLUDE_FROM_ALL)
endif()
install(TARGETS moire_shared moire_static EXPORT moire-targets)
install(DIRECTORY include/moire DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)

# Man pages and completions, made of the command's own --help; Debian looks for zsh's in vendor-completions.
file(GLOB help_scripts CONFIGURE_DEPENDS cmake/package/*)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/help_files.stamp
  COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/package/help_files.sh $<TARGET_FILE:moire> ${PROJECT_BINARY_DIR}
  COMMAND ${CMAKE_COMMAND} -E touch help_files.stamp
  DEPENDS moire ${help_scripts} COMMENT "Making man pages and completions" VERBATIM)
add_custom_target(help_files ALL DEPENDS ${PROJECT_BINARY_DIR}/help_files.stamp)
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/ DESTINATION ${CMAKE_INSTALL_DATAROOTDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/moire)
install(EXPORT moire-targets NAMESPACE moire:: DESTINATION ${package_folder})
configure_package_config_file(cmake/moire-config.cmake.in moire-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(moire-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/moire-config.cmake ${PROJECT_BINARY_DIR}/moire-config-version.cmake
  DESTINATION ${package_folder})

list(TRANSFORM private_libraries REPLACE "^([a-z]+)$" "-l\\1" OUTPUT_VARIABLE private_flags)
list(JOIN private_flags " " MOIRE_PRIVATE_FLAGS)
configure_file(cmake/moire.pc.in moire.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/moire.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The package of Debian that `cpack` makes (./dev deb). What it needs at run time, dpkg-shlibdeps finds.
install(FILES README.md CHANGES.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Moire's authors <moire@moire.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "compiler and runtime of neural networks with complex values")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "gcc | c-compiler") # `moire compile` calls it
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "llvm-19-dev, libjansson-dev, libyaml-dev, libzip-dev, zlib1g-dev") # to link libmoire.a
include(CPack)
