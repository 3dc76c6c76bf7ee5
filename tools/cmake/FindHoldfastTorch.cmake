# libtorch from an unpacked wheel, as the imported target HoldfastTorch::torch.
#
# The wheel's own CMake package asks for a CUDA toolkit; a program needs only headers and two to four libraries.
# All wheels are unpacked into one folder because their run paths are relative to each other.

find_path(HoldfastTorch_INCLUDE_DIR ATen/ATen.h PATHS ${HOLDFAST_TORCH_DIR}/torch/include NO_DEFAULT_PATH)
set(HoldfastTorch_LIBRARY_DIR ${HOLDFAST_TORCH_DIR}/torch/lib)
set(holdfast_torch_libraries torch_cpu c10)
if(HOLDFAST_FLAVOUR STREQUAL "cuda")
    list(PREPEND holdfast_torch_libraries torch_cuda c10_cuda)
elseif(NOT HOLDFAST_FLAVOUR STREQUAL "cpu")
    message(FATAL_ERROR "HOLDFAST_FLAVOUR is '${HOLDFAST_FLAVOUR}'; it must be cpu or cuda")
endif()
foreach(library IN LISTS holdfast_torch_libraries)
    if(NOT EXISTS ${HoldfastTorch_LIBRARY_DIR}/lib${library}.so)
        message(FATAL_ERROR "no ${HoldfastTorch_LIBRARY_DIR}/lib${library}.so: run tools/setup, "
                            "or give -DHOLDFAST_TORCH_DIR=<folder that holds torch/>")
    endif()
endforeach()

set(holdfast_torch_required HoldfastTorch_INCLUDE_DIR)
if(HOLDFAST_FLAVOUR STREQUAL "cuda")
    # The headers of the toolkit and of NCCL: from the wheels beside torch, else from an installed toolkit.
    find_path(HoldfastTorch_CUDA_INCLUDE_DIR cuda_runtime_api.h
              HINTS ${HOLDFAST_TORCH_DIR}/nvidia/cu13/include ENV CUDA_HOME ENV CUDA_PATH
              PATHS /usr/local/cuda PATH_SUFFIXES include)
    find_path(HoldfastTorch_NCCL_INCLUDE_DIR nccl.h
              HINTS ${HOLDFAST_TORCH_DIR}/nvidia/nccl/include ${HoldfastTorch_CUDA_INCLUDE_DIR})
    list(APPEND holdfast_torch_required HoldfastTorch_CUDA_INCLUDE_DIR HoldfastTorch_NCCL_INCLUDE_DIR)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(HoldfastTorch REQUIRED_VARS ${holdfast_torch_required})

# torch's include folder bundles its own fmt, which would shadow the distribution's that we link: a folder that
# holds only a link to the distribution's headers goes first on the include path.
get_target_property(holdfast_fmt_include fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
if(NOT holdfast_fmt_include)
    set(holdfast_fmt_include /usr/include)
endif()
set(holdfast_fmt_shim ${CMAKE_BINARY_DIR}/fmt-shim)
file(MAKE_DIRECTORY ${holdfast_fmt_shim})
file(CREATE_LINK ${holdfast_fmt_include}/fmt ${holdfast_fmt_shim}/fmt SYMBOLIC)

# The wheel's libraries find their CUDA runtime through their own run path; the linker need not resolve it.
list(TRANSFORM holdfast_torch_libraries PREPEND "-l" OUTPUT_VARIABLE holdfast_torch_flags)
list(JOIN holdfast_torch_flags " " holdfast_torch_flags)
add_library(HoldfastTorch::torch INTERFACE IMPORTED)
target_include_directories(HoldfastTorch::torch BEFORE INTERFACE ${holdfast_fmt_shim})
target_include_directories(HoldfastTorch::torch SYSTEM INTERFACE ${HoldfastTorch_INCLUDE_DIR}
                           ${HoldfastTorch_INCLUDE_DIR}/torch/csrc/api/include)
if(HOLDFAST_FLAVOUR STREQUAL "cuda")
    target_include_directories(HoldfastTorch::torch SYSTEM INTERFACE ${HoldfastTorch_CUDA_INCLUDE_DIR}
                               ${HoldfastTorch_NCCL_INCLUDE_DIR})
    # c10d's NCCL header is empty without this.
    target_compile_definitions(HoldfastTorch::torch INTERFACE USE_C10D_NCCL)
endif()
target_link_options(
    HoldfastTorch::torch INTERFACE -L${HoldfastTorch_LIBRARY_DIR} -Wl,-rpath,${HoldfastTorch_LIBRARY_DIR}
    -Wl,--allow-shlib-undefined)
# at::parallel_for is a header template that runs on one thread unless its user is compiled with OpenMP. The run
# path above makes it share torch's own copy of the OpenMP library, and so its thread pool.
target_compile_options(HoldfastTorch::torch INTERFACE -fopenmp)
target_link_options(HoldfastTorch::torch INTERFACE -fopenmp)
target_link_libraries(HoldfastTorch::torch
                      INTERFACE "-Wl,--push-state,--no-as-needed ${holdfast_torch_flags} -Wl,--pop-state")
