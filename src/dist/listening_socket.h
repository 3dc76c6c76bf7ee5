// The socket at which the ranks of one node find rank 0.
//
// The supervisor binds it before any rank exists and hands it to rank 0 as an open descriptor, so
// nobody can take the port between its choice and its use.
#pragma once

#include "base/result.h"
#include "dist/owned_descriptor.h"

namespace holdfast::dist {

struct ListeningSocket {
    OwnedDescriptor descriptor;  // listens; close-on-exec
    int port = 0;
};

// Listens on 127.0.0.1 at `port`, any free one for 0. kBusy when the port is taken, kIo else.
base::Result<ListeningSocket> listen_on_loopback(int port);

}  // namespace holdfast::dist
