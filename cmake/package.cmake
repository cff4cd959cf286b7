# What is installed: the program, liblikeness with its headers, and how pkg-config and CMake find them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Likeness)

install(DIRECTORY include/likeness DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# The library inside of the Python package, which clients/python/pyproject.toml asks for.
install(FILES $<TARGET_FILE:likeness_shared> DESTINATION likeness RENAME liblikeness.so COMPONENT python EXCLUDE_FROM_ALL)
install(TARGETS likeness_cli)
install(TARGETS likeness likeness_shared EXPORT LikenessTargets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT LikenessTargets NAMESPACE Likeness:: DESTINATION ${package_dir})

# Below 1.0 each minor version may break what was built with the last; SameMajorVersion from then on.
write_basic_package_version_file(LikenessConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(cmake/LikenessConfig.cmake.in LikenessConfig.cmake INSTALL_DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/LikenessConfig.cmake ${PROJECT_BINARY_DIR}/LikenessConfigVersion.cmake
  DESTINATION ${package_dir})

# Found from where likeness.pc itself lies, so that an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
  OUTPUT_VARIABLE prefix_from_pc)
list(JOIN LIKENESS_MODULES " " requires_private)
list(TRANSFORM LIKENESS_LIBS REPLACE "^([^/].*)" "-l\\1" OUTPUT_VARIABLE libs_private)
list(JOIN libs_private " " libs_private)
configure_file(cmake/likeness.pc.in likeness.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/likeness.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The program's own words: man pages, and completion for bash and zsh.
set(guide ${PROJECT_BINARY_DIR}/guide)
add_custom_command(OUTPUT ${guide}/_likeness
  COMMAND ${CMAKE_COMMAND} -E make_directory ${guide}/man1
  COMMAND likeness_cli --write-guide ${guide}
  DEPENDS likeness_cli VERBATIM)
add_custom_target(likeness_guide ALL DEPENDS ${guide}/_likeness)
install(DIRECTORY ${guide}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${guide}/likeness.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME likeness)
install(FILES ${guide}/_likeness DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
