// The standing of a thread against the others of the machine.
#pragma once

namespace holdfast::base {

// The calling thread yields to every other from now on: nice 19, and the idle class for its reads
// and writes. Where the system refuses, it goes on as it is: a hint, and nothing depends on it.
void yield_to_other_threads();

}  // namespace holdfast::base
