# Targets of this project: a library a room, a program a test folder, one set of flags.

function(holdfast_compile_options target)
    target_compile_options(
        ${target}
        PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
                -Wold-style-cast -Werror)
    if(NOT HOLDFAST_SANITIZER STREQUAL "none")
        # Lines in stack traces, and no more: these builds are made to be run once.
        target_compile_options(${target} PRIVATE -O1 -g1)
        # GCC 12 sees uninitialised members in std::variant once a sanitizer's calls stand between.
        target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    endif()
    if(HOLDFAST_SANITIZER STREQUAL "asan")
        target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all
                                                 -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=address,undefined)
    elseif(HOLDFAST_SANITIZER STREQUAL "tsan")
        target_compile_options(${target} PRIVATE -fsanitize=thread -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=thread)
    elseif(HOLDFAST_SANITIZER STREQUAL "fuzz")
        # A cast of a double that does not fit is no part of `undefined`, and parsers are where it happens.
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow
                                                 -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PRIVATE -fsanitize=address,undefined)
    endif()
endfunction()

# holdfast_headers(NAME name HEADERS <a>... DEPS targets...): a precompiled header that targets with the same flags
# reuse. Precompiled headers halve the time of a full build.
function(holdfast_headers)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "HEADERS;DEPS")
    set(target holdfast_${arg_NAME})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${arg_NAME}/empty.cpp CONTENT "")
    add_library(${target} STATIC ${CMAKE_BINARY_DIR}/${arg_NAME}/empty.cpp)
    target_link_libraries(${target} PUBLIC ${arg_DEPS})
    holdfast_compile_options(${target})
    target_precompile_headers(${target} PRIVATE ${arg_HEADERS})
endfunction()

# holdfast_library(NAME room SOURCES a.cpp... DEPS targets... [TORCH]): the static library holdfast::room of
# src/room. TORCH links libtorch and reuses the project's precompiled torch header.
function(holdfast_library)
    cmake_parse_arguments(PARSE_ARGV 0 arg "TORCH" "NAME" "SOURCES;DEPS")
    set(target holdfast_${arg_NAME})
    add_library(${target} STATIC ${arg_SOURCES})
    add_library(holdfast::${arg_NAME} ALIAS ${target})
    target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC ${arg_DEPS})
    holdfast_compile_options(${target})
    if(arg_TORCH)
        target_link_libraries(${target} PUBLIC HoldfastTorch::torch)
        target_precompile_headers(${target} REUSE_FROM holdfast_torch_headers)
    else()
        target_link_libraries(${target} PUBLIC fmt::fmt)
        target_precompile_headers(${target} REUSE_FROM holdfast_common_headers)
    endif()
endfunction()

# holdfast_test(NAME room SOURCES a_test.cpp... DEPS targets... [LABELS ...] [TORCH]): one test program for a
# folder of tests; each case is a CTest case with the labels.
function(holdfast_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "TORCH" "NAME" "SOURCES;DEPS;LABELS")
    set(target ${arg_NAME}_test)
    add_executable(${target} ${arg_SOURCES})
    target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
    target_link_libraries(${target} PRIVATE ${arg_DEPS} fmt::fmt GTest::gtest GTest::gmock GTest::gtest_main)
    target_compile_definitions(${target} PRIVATE HOLDFAST_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                                 HOLDFAST_BINARY_DIR="${CMAKE_BINARY_DIR}")
    holdfast_compile_options(${target})
    # The checks themselves need no speed: what they check is in the libraries.
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
    if(arg_TORCH)
        target_link_libraries(${target} PRIVATE HoldfastTorch::torch)
        target_precompile_headers(${target} REUSE_FROM holdfast_torch_test_headers)
    else()
        target_precompile_headers(${target} REUSE_FROM holdfast_test_headers)
    endif()
    gtest_discover_tests(${target} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 600)
endfunction()
