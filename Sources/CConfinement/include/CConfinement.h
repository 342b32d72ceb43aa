#pragma once

/// For good, for every thread of this process: closes whatever is open beyond the three standard
/// descriptors, and leaves it no call but those that read and write what stays open, manage its own
/// memory and threads, tell the time, and end it. Whatever else it asks the kernel for is refused
/// with EPERM: files, sockets, programs, signals to others.
///
/// Returns 0, or the error number with which the kernel refuses to do so.
int confine_process(void);

/// What `confine_process` would return, without doing so.
int confinement_fault(void);
