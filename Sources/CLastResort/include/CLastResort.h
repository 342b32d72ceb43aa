#pragma once

/// From now on, where a library or Swift's runtime ends the program because it was refused memory or
/// a thread, the program says so in one line on standard error and exits with `status`. Crashes of
/// any other kind end it as before.
///
/// Swift's arrays and C++'s `new` know no other way to say that memory is short. What is large is
/// asked for in ways that can be refused; this is for the small rest.
void last_resort_install(int status);
