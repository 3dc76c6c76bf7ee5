# Run at each build: writes OUTPUT (a source file) with the commit of SOURCE_DIR, only when it changed.
execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short=12 HEAD
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
    set(commit unknown)
else()
    execute_process(COMMAND git -C ${SOURCE_DIR} status --porcelain --untracked-files=no
                    OUTPUT_VARIABLE changes ERROR_QUIET)
    if(changes)
        string(APPEND commit "-modified")
    endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include <string_view>

namespace holdfast::base {
std::string_view build_commit();
std::string_view build_commit() { return "@commit@"; }
}  // namespace holdfast::base
]] @ONLY)
